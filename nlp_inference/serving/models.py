"""The models of a server: loading, verification, and replacement without a lost request."""

import logging
import re
import threading
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Literal

from nlp_inference.document import Document
from nlp_inference.document.limits import MAX_CHARACTERS
from nlp_inference.errors import InvalidSpecError
from nlp_inference.integrations.pipeline import DocumentPipeline
from nlp_inference.predict.predictor import Predictor
from nlp_inference.predict.trace import Trace
from nlp_inference.serving.failures import RequestError

_LOGGER = logging.getLogger(__name__)

State = Literal["ready", "loading", "failed"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_KEPT_PIPELINES = 32


@dataclass(frozen=True)
class ModelSource:
    """A model to load; see `Predictor.from_pretrained`.

    Args:
        path: a folder that training wrote, or a Hub id.
        backend, dtype, device, revision, trust_remote_code: as for `Predictor.from_pretrained`.
        verify: whether to replay the golden records of the model before it serves.
        max_characters: the maximum length of a document.
    """

    path: str
    backend: str = "auto"
    dtype: str | None = None
    device: str | None = None
    revision: str = "main"
    trust_remote_code: bool = False
    verify: bool = True
    max_characters: int = MAX_CHARACTERS

    def load(self, *, verify: bool | None = None) -> Predictor:
        """Load the model, and replay its golden records.

        Args:
            verify: whether to replay them; `None` means as the source says.

        Raises:
            NlpInferenceError: it cannot be loaded, or a golden record differs.
        """
        return Predictor.from_pretrained(
            self.path,
            backend=self.backend,
            dtype=self.dtype,
            device=self.device,
            revision=self.revision,
            trust_remote_code=self.trust_remote_code,
            verify=self.verify if verify is None else verify,
            max_characters=self.max_characters,
        )

    def card(self) -> str | None:
        """Return the model card of a local folder."""
        file = Path(self.path) / "README.md"
        return file.read_text(encoding="utf-8") if file.is_file() else None


class ServedModel:
    """A model that predicts.

    Args:
        name: the name in URLs.
        predictor: the predictor.
        source: where it was loaded from; `None` for a predictor that was passed as an object.
    """

    def __init__(self, name: str, predictor: Predictor, *, source: ModelSource | None) -> None:
        self.name = name
        self.predictor = predictor
        self.source = source
        self.revision = predictor.processor.digest()[:12]
        self.verified = source is not None and source.verify
        self.card = None if source is None else source.card()
        self.pipeline = lru_cache(maxsize=_KEPT_PIPELINES)(partial(_pipeline, predictor))
        self._with_heads = lru_cache(maxsize=_KEPT_PIPELINES)(predictor.with_heads)

    @property
    def heads(self) -> tuple[str, ...]:
        """The names of the heads of a multi-task model."""
        return tuple(name for name in self.predictor.processor.task.tasks if name)

    def decoder(self, heads: Collection[str]) -> Predictor:
        """Return the predictor that decodes only these heads, or all of them if none is named.

        Raises:
            RequestError: 422 for an unknown head.
        """
        unknown = [head for head in heads if head not in self.heads]
        if unknown:
            known = f"it has the heads {', '.join(self.heads)}" if self.heads else "it has no heads"
            raise RequestError(422, f"the model {self.name!r} has no head {unknown[0][:64]!r}; {known}")
        return self._with_heads(tuple(sorted(set(heads)))) if heads else self.predictor


def _pipeline(predictor: Predictor, head: str | None, top_k: int | None) -> DocumentPipeline:
    """Return the pipeline of a head that returns `top_k` labels, or as many as were saved."""
    pipeline = predictor.as_pipeline(head=head)
    return pipeline if top_k is None else pipeline.with_top_k(top_k)


class Models:
    """The models of a server, by name. The first one is the default.

    Args:
        sources: for each name, a source to load, or a predictor.
        prepare: is called with a model that was loaded, before it serves.
        retire: is called with a predictor that was replaced.

    Raises:
        InvalidSpecError: there is no model, or a name cannot be part of a URL.

    Attributes:
        failures: the errors of models that cannot be loaded, by name.
        replaced: is called after a model was replaced.
    """

    def __init__(
        self,
        sources: Mapping[str, ModelSource | Predictor],
        *,
        prepare: "Callable[[ServedModel], None]" = lambda _: None,
        retire: Callable[[Predictor], None] = lambda _: None,
    ) -> None:
        if not sources:
            raise InvalidSpecError("there is no model to serve; name at least one")
        wrong = next((name for name in sources if not _NAME.fullmatch(name)), None)
        if wrong is not None:
            raise InvalidSpecError(
                f"the model name {wrong!r} cannot be part of a URL; use letters, digits, '-' and '_'"
            )
        self._sources = dict(sources)
        self._prepare, self._retire = prepare, retire
        self._loading, self._beginning = threading.Lock(), threading.Lock()
        self._begun = False
        self._served: dict[str, ServedModel] = {}
        self.failures: dict[str, Exception] = {}
        self.replaced: Callable[[], None] = lambda: None
        for name, source in sources.items():
            if isinstance(source, Predictor):
                self._served[name] = ServedModel(name, source, source=None)

    @property
    def names(self) -> tuple[str, ...]:
        """The names, the default first."""
        return tuple(self._sources)

    @property
    def ready(self) -> bool:
        """Whether every model is loaded and verified."""
        return len(self._served) == len(self._sources)

    def states(self) -> dict[str, State]:
        """Return the state of each model."""
        return {
            name: "ready" if name in self._served else "failed" if name in self.failures else "loading"
            for name in self._sources
        }

    def served(self) -> tuple[ServedModel, ...]:
        """Return the models that predict."""
        return tuple(self._served[name] for name in self._sources if name in self._served)

    def get(self, name: str | None = None) -> ServedModel:
        """Return a model; without a name, the default.

        Raises:
            RequestError: 404 for an unknown name, 503 for a model that is not ready.
        """
        self.begin()
        name = self.names[0] if name is None else name
        if name not in self._sources:
            raise RequestError(404, f"there is no model {name[:64]!r}; this server has {', '.join(self.names)}")
        model = self._served.get(name)
        if model is None:
            raise RequestError(503, f"the model {name!r} is not ready; /readyz tells when it is", retry_after=1)
        return model

    def begin(self) -> None:
        """Begin to load the models in the background, once."""
        with self._beginning:
            begun, self._begun = self._begun, True
        if not begun and not self.ready:
            threading.Thread(target=self._load_quietly, name="nlp-load", daemon=True).start()

    def _load_quietly(self) -> None:
        with suppress(Exception):  # `failures` contains it, which /readyz and the command report
            self.load()

    def load(self) -> None:
        """Load and verify the models that are not loaded, one after the other.

        Raises:
            Exception: a model cannot be loaded; `failures` contains the error, too.
        """
        with self._loading:
            for name, source in self._sources.items():
                if isinstance(source, ModelSource) and name not in self._served:
                    try:
                        self._served[name] = self._loaded(name, source)
                    except Exception as error:
                        self.failures[name] = error
                        raise

    def reload(self, name: str, *, revision: str | None = None) -> ServedModel:
        """Load a model again, also another revision of it, verify it, and let it take over.

        Requests that the old one accepted are completed by it.

        Raises:
            RequestError: 404 for an unknown name, 409 for a predictor that was passed as an object.
            Exception: the new model cannot be loaded or verified; the old one continues to serve.
        """
        old = self.get(name)
        if old.source is None:
            raise RequestError(409, f"the model {name!r} was not loaded by the server, so it cannot be reloaded")
        with self._loading:
            source = old.source if revision is None else replace(old.source, revision=revision)
            new = self._loaded(name, source)
            self._served[name] = new
        self._retire(old.predictor)
        self.replaced()
        return new

    def _loaded(self, name: str, source: ModelSource) -> ServedModel:
        predictor = source.load()
        _warm_up(predictor)
        model = ServedModel(name, predictor, source=source)
        self._prepare(model)
        _LOGGER.info("model %s is ready", name)
        return model


def _warm_up(predictor: Predictor) -> None:
    """Run the model with the threads of a worker, which some backends prepare on the first call."""
    backend = predictor.backend
    backend.use_threads(max(1, backend.threads // predictor.route.workers.count))
    try:
        (trace,) = predictor.route.encode([Trace("", Document(raw_text="Hello"))])
        if trace.rows:
            predictor.route.run(trace.rows)
    finally:
        backend.use_threads(backend.threads)
