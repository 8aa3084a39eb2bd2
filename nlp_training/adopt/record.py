"""The record of an adoption, `adoption.json`, and the configuration by which its data is found again."""

import re
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nlp_inference import Processor
from nlp_inference._utils.digests import file_digest
from nlp_training.adopt.options import AdoptOptions
from nlp_training.adopt.plan import Plan
from nlp_training.adopt.tuning import Tuned, split_settings
from nlp_training.config import RunConfig

if TYPE_CHECKING:
    from nlp_training.adopt.run import Adoption

RECORD_FILE = "adoption.json"


def adopted_config(
    plan: Plan, processor: Processor, out: Path, data: Any, options: AdoptOptions, *, tuned: Tuned | None
) -> RunConfig:
    """Return a configuration that names the base, the data and the processor, as that of a training does.

    `nlp-training export` finds the documents to score on in it, and `nlp-training train` can continue from it. The
    settings were chosen on its `train`, and the scores are those of its `validation`.

    Args:
        plan: the plan of the adoption.
        processor: the final processor.
        out: the folder of the artefact.
        data: the source of the documents.
        options: what the user stated.
        tuned: the chosen settings.
    """
    source: Mapping[str, Any] = data if isinstance(data, Mapping) else {"path": str(data)}
    few = tuned is not None and tuned.same_documents
    more = {"validation": source} if few else {"split": split_settings(options.seed).model_dump(exclude_none=True)}
    return RunConfig.model_validate(
        {
            "name": re.sub(r"[^A-Za-z0-9._-]", "-", out.name).lstrip("._-") or "adopted",
            "output_dir": str(out.parent),
            "seed": options.seed,
            "model": {"base": plan.stock.source, "revision": plan.stock.commit or options.revision},
            "data": {"train": source, **more},
            "processor": {
                "task": processor.task.to_spec(),
                "preprocess": processor.preprocess.to_spec(),
                "postprocess": processor.postprocess.to_spec(),
                "windows": processor.windows.model_dump(mode="json", exclude_none=True),
                "pad_token": plan.stock.tokenizer.pad_token,
            },
            "fit": [],
        }
    )


def record_of(found: "Adoption", options: AdoptOptions) -> dict[str, Any]:
    """Return everything that was deduced, chosen and compared, without texts."""
    stock, comparison, tuned = found.plan.stock, found.comparison, found.tuned
    return {
        "source": stock.source if not Path(stock.source).is_dir() else Path(stock.source).name,
        "revision": None if stock.commit is None else options.revision,
        "commit": stock.commit,
        "weights": {path.name: file_digest(path) for path in stock.weights},
        "deductions": [asdict(one) for one in found.plan.deductions],
        "trials": [] if tuned is None else [asdict(one) for one in tuned.trials],
        "comparison": {
            "with": comparison.title,
            "texts": len(comparison.texts),
            "built_in_texts": found.is_built_in,
            "same_texts": comparison.same_texts,
            "predictions": comparison.total,
            "agreeing": comparison.agreeing,
            "causes": dict(comparison.causes),
        },
    }
