"""A line of Hydra, OmegaConf or a check of values, reworded: it says what to type instead."""

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hydra._internal.utils import _locate  # `get_object` also logs its errors

from sweeper.cli.advice import choose_one, file_advice, key_advice, option_advice, vocabulary_of
from sweeper.cli.overrides import bare_key, shell_word, values_below
from sweeper.cli.program import is_multirun
from sweeper.cli.sweeps import as_typed, sweep_advice, without_brackets
from sweeper.cli.typed import overrides_in, parsed
from sweeper.cli.vocabulary import MEANT, OF_OTHER_GROUPS, Vocabulary, leaves, option_texts

OWN_OPTIONS = "leave it out, or type --config-dir FOLDER for a folder with your own options"
OWN_SWEEPER = "hydra/sweeper=sweeper"
ADD_MULTIRUN = "add --multirun to your command line"
"""What a call from Python says in other words."""
OF_PARAMS = "hydra.sweeper.params."
_OTHER_WORD = re.compile(r"(?<=[\d.])\s*(?!(?:ms|min|h|d)$)[A-Za-z]*$")
"""A word behind a number, if it is no unit that would change the number."""
_FLOAT = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d)?"


def better_line(message: str, arguments: Sequence[str]) -> str | None:
    """Return a line that says what to type, in place of one that only says what is wrong.

    message: what Hydra, OmegaConf or the check of the values says.
    arguments: the command line.
    """
    for pattern, advise in _ADVISERS:
        if match := re.search(pattern, message):
            return advise(match, arguments)
    return None


def _for_unknown_key(match: "re.Match[str]", arguments: Sequence[str]) -> str | None:
    key = match[1]
    typed = (a for a in arguments if not a.startswith("-"))
    override = next((a for a in typed if bare_key(a) == key), None)
    vocabulary = vocabulary_of(arguments)
    if override is not None:
        return key_advice(override, vocabulary)
    params = vocabulary.value("hydra.sweeper.params")
    searched = dict(values_below(params)) if isinstance(params, Mapping) else {}
    return f"{OF_PARAMS}{key}: {file_advice(key, vocabulary)}" if key in searched else None


def _for_late_group(match: "re.Match[str]", arguments: Sequence[str]) -> str | None:
    """Return the line for a file that overrides a group which is read after the file."""
    file, group = match[1], match[2]
    line = f"{file}.yaml: the option of {group} is chosen after this file; type {group}=NAME"
    vocabulary = _vocabulary_without(file, arguments)
    has_keys = bool(vocabulary.value(group))
    return line + (f", or write its values under {group}: in the file" if has_keys else "")


def _for_list_in_file(match: "re.Match[str]", arguments: Sequence[str]) -> str | None:
    """Return the line for a list that a file has in the place of a mapping."""
    file = match[1]
    group, _, option = file.rpartition("/")
    vocabulary = _vocabulary_without(file, arguments)
    lists = [k for k, v in leaves(vocabulary.files(group).get(option)) if isinstance(v, list)]
    keys = [key for each in lists for key in (each, f"{group}.{each}")]
    found = next((key for key in keys if isinstance(vocabulary.value(key), Mapping)), None)
    return found and f"{file}.yaml: {found} has keys of its own; write KEY: VALUE below it"


def _vocabulary_without(file: str, arguments: Sequence[str]) -> Vocabulary:
    """Return the vocabulary without a file that cannot be composed."""
    group, _, option = file.rpartition("/")
    return vocabulary_of([a for a in arguments if a != f"{group}={option}"])


def _for_key_of_other_launcher(match: "re.Match[str]", arguments: Sequence[str]) -> str | None:
    """Return the line for a file with a key of a launcher that is not chosen."""
    key, file = match[1], match[2]
    choices = [each.choice for each in _vocabulary_without(file, arguments).suggestions(key)]
    texts = " or ".join(filter(None, choices))
    return f"{file}.yaml: {key} is a key of other launchers; type {texts}" if texts else None


def _for_added_key(match: "re.Match[str]", arguments: Sequence[str]) -> str | None:
    """Return the line for a `+` before a key that exists."""
    key = match[1]
    added = next((a for a in arguments if a.startswith("+") and bare_key(a) == key), None)
    if added is None:
        return None
    override = added.lstrip("+")
    return f"{added}: {key} exists already; type {MEANT.get(override) or as_typed(override)}"


def _for_test_metric(match: "re.Match[str]", arguments: Sequence[str]) -> str | None:
    override = match[2]
    return f"{match[1]}{MEANT[override]}" if override in MEANT else None


def _for_unknown_argument(match: "re.Match[str]", arguments: Sequence[str]) -> str | None:
    group, name = match[1], match[2]
    line = _for_unknown_key(re.fullmatch("(.*)", _joined(group, name)), arguments)  # type: ignore[arg-type]
    return line or _for_key_of_recipe(group, name, arguments)


def _for_key_of_recipe(group: str, name: str, arguments: Sequence[str]) -> str | None:
    """Return the line for the keys of a recipe that the options typed beside it do not have."""
    typed = dict(a.partition("=")[::2] for a in arguments if not a.startswith("-"))
    recipe, key = typed.get("experiment"), f"{group}.{name}"
    if recipe is None or group not in typed:
        return None
    others = [argument for argument in arguments if not argument.startswith("experiment=")]
    misfits = [
        each
        for each in _added_keys(vocabulary_of(arguments), vocabulary_of(others))
        if each.partition(".")[0] in typed and f"~{each}" not in arguments
    ]
    if key not in misfits:
        return None
    options = list(dict.fromkeys(each.partition(".")[0] for each in misfits))
    chosen = " and ".join(f"{option}={typed[option]}" for option in options)
    has = "does" if len(options) == 1 else "do"
    removed = " ".join(shell_word(f"~{each}") for each in misfits)
    return (
        f"experiment={recipe} sets {', '.join(misfits)}, which {chosen} {has} not have; "
        f"type {removed} too, or leave out one of the two"
    )


def _added_keys(whole: Vocabulary, without: Vocabulary) -> list[str]:
    """Return the keys that only a recipe has, and that the target of their group does not take."""
    return [
        key
        for key in whole.keys
        if not without.has(key) and not _takes(whole.value(key.partition(".")[0]), key)
    ]


def _takes(node: Any, key: str) -> bool:
    """Return whether the target of an option takes an argument that its file may not set.

    A target that cannot be imported, or has no signature, may take any.
    """
    if not isinstance(node, Mapping) or "_target_" not in node:
        return False
    try:
        parameters = inspect.signature(_locate(str(node["_target_"]))).parameters
    except (ImportError, TypeError, ValueError):
        return True
    takes_any = any(each.kind is each.VAR_KEYWORD for each in parameters.values())
    return takes_any or key.split(".")[1] in parameters


def _joined(group: str, name: str) -> str:
    return name if group == "the config" else f"{group}.{name}"


def _for_unknown_option(match: "re.Match[str]", arguments: Sequence[str]) -> str | None:
    vocabulary, text = vocabulary_of(arguments), f"{match[1]}/{match[2]}"
    groups = [group for group in vocabulary.groups if text.startswith(f"{group}/")]
    group = max(groups, key=len, default=match[1])  # an option may have been typed as a path
    option = text.removeprefix(f"{group}/")
    line = option_advice(group, option, vocabulary)
    placed = rf"\+?({re.escape(group)}@[^=]+)={re.escape(option)}"  # init@init.conv=zeros
    found = next(filter(None, (re.fullmatch(placed, argument) for argument in arguments)), None)
    return line.replace(f"{group}=", f"{found[1]}=") if found else line


def _for_chosen_group(match: "re.Match[str]", arguments: Sequence[str]) -> str | None:
    """Return the line for a `+` before a group that has an option already."""
    group = match[1]
    added = next((a for a in arguments if a.startswith(f"+{group}=")), None)
    if added is None:
        return None
    chosen = vocabulary_of(arguments).choices.get(group)
    return f"{added}: {group}={chosen} is chosen already; type {as_typed(added.lstrip('+'))}"


def _for_option_of_other_type(match: "re.Match[str]", arguments: Sequence[str]) -> str | None:
    """Return the line for an option that Hydra reads as null, a number or a boolean."""
    vocabulary = vocabulary_of(arguments)
    for argument in overrides_in(arguments):
        override = parsed(argument)
        if override is None or override.is_delete():
            continue
        group = override.get_key_element().lstrip("+")
        if group not in vocabulary.groups:
            continue
        swept = override.is_sweep_override()
        texts = override.sweep_string_iterator() if swept else [override.get_value_string()]
        for option in map(str, texts):
            if not isinstance(_value_of(group, option), str):
                return _quoted_option(group, option, vocabulary)
    return None


def _value_of(group: str, option: str) -> object:
    override = parsed(f"{group}={option}")
    return None if override is None else override.value()


def _quoted_option(group: str, option: str, vocabulary: Vocabulary) -> str:
    known = vocabulary.options(group)
    if option in known:  # a file such as 1.yaml
        quoted = shell_word(f"{group}='{option}'")
        return f"{group}={option}: the name of an option is a text; type {quoted}"
    if option == "null" and "none" in known:
        return f"{group}={option}: there is no such option; type {group}=none"
    return f"{group}={option}: there is no such option; {choose_one(group, vocabulary)}"


def _for_sweep_elsewhere(match: "re.Match[str]", arguments: Sequence[str]) -> str | None:
    return sweep_advice(match[1], is_multirun(arguments))


def _for_missing_multirun(match: "re.Match[str]", arguments: Sequence[str]) -> str | None:
    override = match[1]
    key, _, value = override.partition("=")
    if re.search(r"\w\(", value):
        return f"{override}: is a sweep; {ADD_MULTIRUN}: --multirun {as_typed(override)}"
    return (
        f"{override}: has several {_instead_of_several(key, value, vocabulary_of(arguments))}; to "
        f"try one after another, {ADD_MULTIRUN}: --multirun {as_typed(override)}"
    )


def _instead_of_several(key: str, value: str, vocabulary: Vocabulary) -> str:
    """Return what to type for one value, as far as the config tells what it is."""
    if key in vocabulary.groups:
        return "options; type one of them"
    default = vocabulary.value(key)
    if isinstance(default, float) and (comma := re.fullmatch(r"(-?\d+),(\d+)", value)):
        return f"values; type {key}={comma[1]}.{comma[2]} for a number, with a point"
    if isinstance(default, int | float):
        return "values; type one of them"
    return f"values; type {as_typed(f'{key}=[{value}]')} for a list"


def _for_list(match: "re.Match[str]", arguments: Sequence[str]) -> str | None:
    return f"{match[0]}; {without_brackets(match[1], match[2], is_multirun(arguments))}"


def _for_text(match: "re.Match[str]", arguments: Sequence[str]) -> str | None:
    text = shell_word(f"{match[1]}='{match[2]}'")
    return f"{match[0]}; type {text} for a text"


def _for_number(match: "re.Match[str]", arguments: Sequence[str]) -> str | None:
    key, value = match[1], match[2]
    if not value:
        return f"{match[0]}; type {key}=VALUE"
    if line := sweep_advice(f"{key}={value}", is_multirun(arguments)):
        return line
    whole = "integer" in match[0]
    return f"{match[0]}; type {key}={_number_in(value, whole) or _example(key, value, arguments)}"


def _number_in(value: str, whole: bool) -> str | None:
    """Return the number that is meant by a text, such as 1000 by 1e3 and by 1e3x, or None."""
    from sweeper.schema import meanings  # imports pydantic

    texts = [*meanings(value), _OTHER_WORD.sub("", value)]
    numbers = [float(text) for text in texts if re.fullmatch(_FLOAT, text)]
    found = next((n for n in numbers if n.is_integer() or not whole), None)
    return None if found is None else f"{found:.0f}" if found.is_integer() else f"{found:g}"


def _example(key: str, value: str, arguments: Sequence[str]) -> str:
    """Return a value of a key whose values are numbers: that of the config, if it is one."""
    default = vocabulary_of(arguments).value(key)
    if default is None and value.lower() == "none":
        return "null"
    is_number = isinstance(default, int | float) and not isinstance(default, bool)
    return str(default) if is_number else "NUMBER"


def _for_removed_key(match: "re.Match[str]", arguments: Sequence[str]) -> str | None:
    """Return the line for `~KEY` of a key or group that does not exist."""
    vocabulary, key = vocabulary_of(arguments), match[1]
    found = vocabulary.suggestions(key)
    suggestions = [each for each in found if not each.choice and each.key not in vocabulary.groups]
    texts = "".join(f", or type {shell_word(f'~{each.key}')}" for each in suggestions)
    return f"~{key}: there is no key {key}; leave it out{texts}"


def _for_removed_group(match: "re.Match[str]", arguments: Sequence[str]) -> str | None:
    """Return the line for `~GROUP` of a group that every experiment has."""
    group, vocabulary = match[1], vocabulary_of(arguments)
    if f"~{group}" not in arguments:
        return None
    none = "none" in vocabulary.options(group)
    hint = f"type {group}=none" if none else choose_one(group, vocabulary)
    return f"~{group}: every experiment has an option of {group}; {hint}"


def _for_config_dir(match: "re.Match[str]", arguments: Sequence[str]) -> str:
    return f"--config-dir {shell_word(match[1])}: there is no such folder; type the path of one"


def _for_config_name(match: "re.Match[str]", arguments: Sequence[str]) -> str:
    name = match[1]
    if not any(a.partition("=")[0] in ("--config-name", "-cn") for a in arguments):
        return f"--config-path: the folder has no {name}.yaml; {OWN_OPTIONS}"
    vocabulary = vocabulary_of(arguments)
    texts = [text for group in OF_OTHER_GROUPS for text in option_texts(vocabulary, group, name)]
    hint = f"type {' or '.join(texts)} in its place" if texts else OWN_OPTIONS
    return f"--config-name {shell_word(name)}: there is no such config; {hint}"


def _for_config_path(match: "re.Match[str]", arguments: Sequence[str]) -> str:
    return f"--config-path: there is no folder {match[1]}; {OWN_OPTIONS}"


def _for_sweep_of_hydras_key(match: "re.Match[str]", arguments: Sequence[str]) -> str:
    key, sweep = bare_key(match[1]), match[1].partition("=")[2]
    if key.startswith(OF_PARAMS):
        text = as_typed(f"{key.removeprefix(OF_PARAMS)}={sweep}")
        return f"{match[1]}: a sweep needs quotes there; type {text} in its place"
    return f"{match[1]}: has several values, and a key of Hydra's has one; type one of them"


def _for_other_plugin(match: "re.Match[str]", arguments: Sequence[str]) -> str:
    """Return the line for a file that sets the class of a plugin beside the option for it."""
    path, kind = match[1], "launcher" if match[1].endswith("Launcher") else "sweeper"
    typed = next((a for a in arguments if bare_key(a) == f"hydra.{kind}._target_"), None)
    if typed is not None:
        choice = choose_one(f"hydra/{kind}", vocabulary_of(arguments))
        return f"{typed}: is not installed; leave it out, or {choice}"
    return (
        f"hydra.{kind}._target_={path}: is not installed; remove _target_ from hydra.{kind} in "
        f"your file, since the option of hydra/{kind} sets it"
    )


def _for_key_of_other_sweeper(match: "re.Match[str]", arguments: Sequence[str]) -> str | None:
    """Return the line for a sweeper that does not have the keys of this application's own."""
    typed = [a for a in arguments if a.startswith("hydra/sweeper=") and a != OWN_SWEEPER]
    if not typed:
        return None
    grid = ": lists alone run as a grid" if match[2] == "Basic" else ""
    return f"{typed[-1]}: python -m sweeper has a sweeper of its own; leave it out{grid}"


def _for_mapping(match: "re.Match[str]", arguments: Sequence[str]) -> str | None:
    """Return the line for a value in the place of a mapping."""
    key = match[1]
    if not isinstance(vocabulary_of(arguments).value(key), Mapping):
        return None
    return f"{match[0]}: {key} has keys of its own; type +{key}.KEY=VALUE"


_ADVISERS: Sequence[tuple[str, Callable[["re.Match[str]", Sequence[str]], str | None]]] = (
    (r"In '(\S+)': Could not override '(\w+)'\. Did you mean to override \2\?", _for_late_group),
    (r"Could not override '([^']+)'", _for_unknown_key),
    (r"^(metric=test/.*; type )(\S+)$", _for_test_metric),
    (r"An item is already at '(.+?)'", _for_added_key),
    (r"In '(\S+)': .*Cannot merge DictConfig with ListConfig", _for_list_in_file),
    (
        r"^(hydra\.launcher\.\w+): In '(\S+)': .*not in '\w+LauncherConf'",
        _for_key_of_other_launcher,
    ),
    (r"([\w/@.-]+)=(\S+): there is no such option", _for_unknown_option),
    (r"Multiple values for (\S+)\. To override a value use 'override ", _for_chosen_group),
    (r"Config group override must be a string or a list\. Got ", _for_option_of_other_type),
    (r"(?:^|: )(the config|[\w.]+) has no key (\w+)", _for_unknown_argument),
    (r"^(.+?): (?:\w+ while evaluating |mismatched|extraneous|no viable)", _for_sweep_elsewhere),
    (r"^([\w.]+)=\[([^\[\]]+)\]: expected a valid (?:number|integer|bool|str).*", _for_list),
    (r"^([\w.]+)=(.*?): expected a valid (?:number|integer)(?: \(at each .*\))?$", _for_number),
    (r"^([\w.]+)=([\w.+-]+): expected a valid string$", _for_text),
    (r"^\+*([\w.]+)=(?:[^:]*)(?=: expected a valid dict|$)", _for_mapping),
    (r"^(\w+) is missing: type ", _for_removed_group),
    (r"Additional config directory '(.+?)' not found", _for_config_dir),
    (r"Cannot find primary config '(.+?)'\.", _for_config_name),
    (r"Primary config directory not found.* directory '(.+?)' exists", _for_config_path),
    (r"Sweeping over Hydra's configuration is not supported : '(.+)'", _for_sweep_of_hydras_key),
    (r"Unknown plugin class : '(.+)'", _for_other_plugin),
    (r"Key '(.+?)' not in '(\w+)SweeperConf'", _for_key_of_other_sweeper),
    (r"Could not delete from config\. '(.+?)' does not exist", _for_removed_key),
    (r"Ambiguous value for argument '(.+?)' 1\.", _for_missing_multirun),
    (r"Sweep parameters? '(.+?)' requires? --multirun", _for_missing_multirun),
)
"""What the lines of Hydra and of the checks say, with what says it better."""
