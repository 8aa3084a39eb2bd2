"""A model folder as an MLflow model: `mlflow.pyfunc.load_model(...).predict(texts)`.

MLflow copies the folder and records this module as its loader, so nothing is pickled. If MLflow serves the model, as
with `mlflow models serve` or in a Spark function, `predict` uses the same route.

Source: https://mlflow.org/docs/latest/ml/model/#storage-format
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from nlp_inference._utils.extras import require
from nlp_inference.document import Annotation, Document, FailedDocument
from nlp_inference.errors import InvalidDocumentError
from nlp_inference.predict.predictor import Predictor
from nlp_inference.processor import Processor

_EXTRA = "mlflow"
_COLUMNS = ("id", "spans", "categories", "relations", "generated", "error")
_FIELDS = {"text": "raw_text", "text_pair": "raw_text_pair", "id": "id"}
LIBRARY = "nlp-inference[mlflow,torch]"


def save_model(folder: str | Path, path: str | Path, *, library: str = LIBRARY) -> None:
    """Write an MLflow model to a new folder.

    Args:
        folder: the saved model, which is copied.
        path: the new folder.
        library: the requirement that installs this library, such as `"nlp-inference[torch] @ git+https://…"`.

    Raises:
        MissingExtraError: `mlflow` is not installed.
        ArtefactError: there is no model in the folder.
    """
    pyfunc = require("mlflow.pyfunc", extra=_EXTRA)
    pyfunc.save_model(str(path), **_flavor(folder, library=library))


def log_model(
    folder: str | Path, *, name: str = "model", registered_model_name: str | None = None, library: str = LIBRARY
) -> Any:
    """Log an MLflow model to the active run, or to a new one, and return MLflow's `ModelInfo`.

    Args:
        folder: the saved model, which is copied.
        name: the name of the model in MLflow.
        registered_model_name: the name in MLflow's registry; `None` does not register the model.
        library: the requirement that installs this library.

    Raises:
        MissingExtraError: `mlflow` is not installed.
        ArtefactError: there is no model in the folder.
    """
    pyfunc = require("mlflow.pyfunc", extra=_EXTRA)
    flavor = _flavor(folder, library=library)
    return pyfunc.log_model(name=name, registered_model_name=registered_model_name, **flavor)


def _load_pyfunc(data_path: str) -> "PredictorModel":
    """Load a model; MLflow calls this function by its name."""
    return PredictorModel(Predictor.from_pretrained(_model_folder(Path(data_path))))


class PredictorModel:
    """The model that `mlflow.pyfunc.load_model` wraps.

    Args:
        predictor: the predictor.
    """

    def __init__(self, predictor: Predictor) -> None:
        self.predictor = predictor

    def predict(self, model_input: Any, params: Mapping[str, Any] | None = None) -> Any:
        """Predict a table of texts.

        Args:
            model_input: a DataFrame with a column `text` and optionally `text_pair` and `id`; or an iterable of texts.
            params: not used.

        Returns:
            A DataFrame with the index of the input, and the columns `id`, `spans` (`start`, `end`, `label` and `score`;
            offsets in code points of the input text), `categories` (`label` and `score`), `generated` (texts) and
            `error`, which is null unless the text failed.

        Raises:
            InvalidDocumentError: there is no column `text`.
        """
        del params
        pandas = require("pandas", extra=_EXTRA)
        table = model_input
        if not isinstance(table, pandas.DataFrame):  # as objects, because pandas strings reject lone surrogates
            table = pandas.DataFrame({"text": pandas.Series([*model_input], dtype=object)})
        if "text" not in table.columns:
            raise InvalidDocumentError(f"there is no column 'text' in {list(table.columns)!r}; rename the text column")
        rows = map(_row, self.predictor.stream(_items(table), on_error="record"))
        return pandas.DataFrame(rows, columns=_COLUMNS, index=table.index, dtype=object)


def _items(table: Any) -> Iterable[dict[str, Any]]:
    names = [name for name in _FIELDS if name in table.columns]
    for values in zip(*(table[name] for name in names), strict=True):
        cells = zip(names, values, strict=True)
        yield {_FIELDS[name]: str(value) if name == "id" else value for name, value in cells if not _is_null(value)}


def _is_null(value: Any) -> bool:
    return value is None or value != value  # noqa: PLR0124 - NaN, the missing value of pandas


def _row(result: Document | FailedDocument) -> tuple[Any, ...]:
    if isinstance(result, FailedDocument):
        return result.id, [], [], [], [], f"{result.error}: {result.message}"
    predicted = result.predicted or Annotation()
    found = (predicted.spans, predicted.categories, predicted.relations)
    spans, categories, relations = ([one.model_dump() for one in several] for several in found)
    return result.id, spans, categories, relations, [*predicted.generated], None


def _flavor(folder: str | Path, *, library: str) -> dict[str, Any]:
    processor = Processor.from_pretrained(_model_folder(Path(folder)))
    packages = processor.fingerprint.packages if processor.fingerprint is not None else {}
    pins = [f"{name}=={version}" for name, version in sorted(packages.items())]
    return {
        "loader_module": __name__,
        "data_path": str(folder),
        "signature": _signature(),
        "input_example": [{"text": "Ana lives in Rome"}],
        "pip_requirements": [library, *pins],
    }


def _model_folder(path: Path) -> Path:
    """Return the model folder, because MLflow may pass its parent folder."""
    inner = [one.parent for one in path.glob("*/processor_config.json")]
    return inner[0] if len(inner) == 1 and not (path / "processor_config.json").is_file() else path


def _signature() -> Any:
    models, types = require("mlflow.models", extra=_EXTRA), require("mlflow.types.schema", extra=_EXTRA)
    label, score = types.Property("label", "string"), types.Property("score", "double", required=False)
    span = types.Object([types.Property("start", "long"), types.Property("end", "long"), label, score])
    relation = types.Object([types.Property("head", "long"), types.Property("tail", "long"), label, score])
    return models.ModelSignature(
        inputs=types.Schema(
            [
                types.ColSpec("string", "text"),
                types.ColSpec("string", "text_pair", required=False),
                types.ColSpec("string", "id", required=False),
            ]
        ),
        outputs=types.Schema(
            [
                types.ColSpec("string", "id"),
                types.ColSpec(types.Array(span), "spans"),
                types.ColSpec(types.Array(types.Object([label, score])), "categories"),
                types.ColSpec(types.Array(relation), "relations"),
                types.ColSpec(types.Array(types.DataType.string), "generated"),
                types.ColSpec("string", "error", required=False),
            ]
        ),
    )
