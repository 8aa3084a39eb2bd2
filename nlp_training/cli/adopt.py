"""`nlp-training adopt`: turn a stock checkpoint of transformers into a verified artefact, without training."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from nlp_inference._utils.terminal import Console
from nlp_training.cli._shared import console_for, one_line_errors, set_fields, source_fields


def adopt_model(  # noqa: PLR0913 - one option for each deduction
    model: Annotated[str, typer.Argument(help="A Hub id, or the folder of a model that transformers saved.")],
    out: Annotated[Path, typer.Argument(help="The folder of the artefact.")],
    *,
    data: Annotated[
        str | None, typer.Option(help="Documents with gold, to choose settings on and to score: a file or a Hub id.")
    ] = None,
    texts: Annotated[
        str | None, typer.Option(help="Other documents to compare and to record. Recorded texts are published.")
    ] = None,
    task: Annotated[str | None, typer.Option(help="The task, such as multi-label-classification.")] = None,
    labels: Annotated[
        str | None, typer.Option(help="Names of the outputs: a,b,c by id, or OLD=NEW,..., or a file.")
    ] = None,
    scheme: Annotated[str | None, typer.Option(metavar="IO|IOB1|BIO|BILOU|BIOES", help="The tagging scheme.")] = None,
    outside: Annotated[str | None, typer.Option(help="The name of the tag outside of spans.")] = None,
    pairs: Annotated[
        bool | None, typer.Option("--pairs/--no-pairs", help="Whether the model reads text pairs.")
    ] = None,
    max_length: Annotated[int | None, typer.Option(min=1, help="Tokens of a window.")] = None,
    pad_token: Annotated[str | None, typer.Option(help="The token to pad with.")] = None,
    lower_case: Annotated[
        bool | None, typer.Option("--lower-case/--no-lower-case", help="Whether texts are lower-cased.")
    ] = None,
    add_prefix_space: Annotated[
        bool | None,
        typer.Option("--add-prefix-space/--no-add-prefix-space", help="Whether a space is added before a text."),
    ] = None,
    preprocess: Annotated[
        str | None, typer.Option(help="Transforms of the text to add: strip_html,fix_encoding, or a YAML list.")
    ] = None,
    postprocess: Annotated[str | None, typer.Option(help="Transforms of the prediction to add.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="A field of the task, such as --set aggregation=mean.")
    ] = None,
    revision: Annotated[str, typer.Option(help="Branch, tag or commit of a Hub id.")] = "main",
    seed: Annotated[int, typer.Option(help="Seed of samples and splits.")] = 0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Deduce and compare, but write nothing.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace OUT.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Report the result as JSON.")] = False,
) -> None:
    """Turn a model of others into a verified artefact without training. Ambiguous properties are an error."""
    messages = Console(stderr=True, soft_wrap=True)
    with one_line_errors():
        from nlp_inference._utils.quiet import one_line_warnings, quiet_libraries
        from nlp_training.adopt import AdoptOptions, adopt, read_names
        from nlp_training.adopt.record import record_of

        quiet_libraries()
        options = AdoptOptions(
            task=task,
            labels=None if labels is None else read_names(labels),
            scheme=scheme,
            outside=outside,
            pairs=pairs,
            max_length=max_length,
            pad_token=pad_token,
            lower_case=lower_case,
            add_prefix_space=add_prefix_space,
            preprocess=_specs(preprocess, "--preprocess"),
            postprocess=_specs(postprocess, "--postprocess"),
            settings=set_fields(settings, form="FIELD=VALUE, such as aggregation=mean"),
            revision=revision,
            seed=seed,
        )
        with one_line_warnings(messages):
            found = adopt(
                model,
                out,
                options=options,
                data=None if data is None else source_fields(data),
                texts=None if texts is None else source_fields(texts),
                dry_run=dry_run,
                overwrite=overwrite,
                console=console_for(as_json=as_json),
            )
        if as_json:
            typer.echo(json.dumps(record_of(found, options), indent=2, ensure_ascii=False))


def _specs(given: str | None, option: str) -> tuple[Any, ...]:
    """Parse transforms: names with commas between them, or a YAML list or mapping."""
    from yaml import YAMLError

    from nlp_inference.errors import InvalidSpecError
    from nlp_training.config.yaml_files import parse_yaml

    if given is None:
        return ()
    if not given.lstrip().startswith(("[", "{")):
        return tuple(name.strip() for name in given.split(",") if name.strip())
    try:
        content = parse_yaml(given)
    except YAMLError as error:
        raise InvalidSpecError(f"{option} is not YAML: {error}; write names with commas, or a list") from error
    return tuple(content) if isinstance(content, list) else (content,)
