"""What to type instead of a word that no command line may have: one line for each mistake."""

import re
from collections.abc import Sequence
from pathlib import Path

from sweeper.cli.overrides import flags_and_overrides, shell_word
from sweeper.cli.shells import DASHES, split_value
from sweeper.cli.sweeps import as_typed
from sweeper.cli.vocabulary import (
    MEANT,
    MEANT_VALUES,
    NOT_HERE,
    Suggestion,
    Vocabulary,
    option_texts,
    plain,
)
from sweeper.objectives import TEST
from sweeper.text import near_names

COMMANDS = ("evaluate", "predict", "inspect", "explain", "worker")
"""The commands beside `python -m sweeper`."""

FLAGS = ("--multirun", "--help", "--cfg", "--info", "--config-dir", "--version", "--hydra-help")
PLACEHOLDER = "VALUE"
CHECKPOINTS = (".pt", ".pth", ".ckpt")


def vocabulary_of(arguments: Sequence[str]) -> Vocabulary:
    """Return the words that a command line may use."""
    _, overrides = flags_and_overrides(arguments)
    return Vocabulary(overrides, config_dir_in(arguments))


def config_dir_in(arguments: Sequence[str]) -> str | None:
    """Return the folder of `--config-dir`, or None."""
    for i, argument in enumerate(arguments):
        flag, equals, value = argument.partition("=")
        if flag in ("--config-dir", "-cd"):
            return value if equals else next(iter(arguments[i + 1 : i + 2]), None)
    return None


def key_advice(override: str, vocabulary: Vocabulary) -> str:
    """Return the line for an override whose key the config does not have."""
    key, _, value = override.lstrip("+~").partition("=")
    if key in vocabulary.groups:
        return f"{override}: {key} is a group; {choose_one(key, vocabulary)}"
    suggestions = _packages(key, vocabulary) or vocabulary.suggestions(key)
    same = as_typed(f"{key}={value}")
    texts = [text for text in _meant(key, value, suggestions, vocabulary) if text != same]
    group, name = key.partition(".")[0], key.rpartition(".")[2]
    chosen = vocabulary.choices.get(group)
    owner = f"{group}={chosen} has no key {name}" if chosen and "." in key else None
    problem = f"{override}: {owner or f'there is no key {key}'}"
    if line := _not_here(key, value):
        return f"{problem}; {line}"
    if not texts:
        return f"{problem}; {_choice(suggestions, vocabulary) or _known(key, vocabulary)}"
    return f"{problem}; type {' or '.join(texts)}"


def file_advice(key: str, vocabulary: Vocabulary) -> str:
    """Return what to write in a file in place of a key that the config does not have."""
    suggestions = [each for each in vocabulary.suggestions(key) if each.key != key]
    texts = [f"{s.key}{f' with {s.choice}' if s.choice else ''}" for s in suggestions]
    hint = f"write {' or '.join(texts)} in its place" if texts else _known(key, vocabulary)
    return f"there is no key {key}; {hint}"


def _not_here(key: str, value: str) -> str | None:
    return NOT_HERE.get(f"{key}={value}") or NOT_HERE.get(key)


def _packages(key: str, vocabulary: Vocabulary) -> list[Suggestion]:
    """Return the groups that a `GROUP@PACKAGE` may mean, whose package does not exist."""
    group, at, package = key.partition("@")
    known = [each for each in vocabulary.groups if at and each.partition("@")[0] == group]
    same = [each for each in known if plain(each).endswith(f".{plain(package)}")]
    return [Suggestion(each) for each in same or known]


def option_advice(group: str, option: str, vocabulary: Vocabulary) -> str:
    """Return the line for an option that its group does not have."""
    if line := _not_here(group, option):
        return f"{group}={option}: there is no such option; {line}"
    texts = [as_typed(text) for text in option_texts(vocabulary, group, option)]
    hint = f"type {' or '.join(texts)}" if texts else choose_one(group, vocabulary)
    return f"{group}={option}: there is no such option; {hint}"


def choose_one(group: str, vocabulary: Vocabulary) -> str:
    """Return the end of a line about a group: its options, as they are typed."""
    return f"choose one of {', '.join(f'{group}={name}' for name in vocabulary.options(group))}"


def flag_advice(flag: str, following: str | None, vocabulary: Vocabulary) -> str:
    """Return the line for a flag that does not exist; `following` is the argument after it."""
    name, equals, value = flag.lstrip("-").partition("=")
    near = near_names(f"--{plain(name).replace('_', '-')}", FLAGS, cutoff=0.75)
    if flag in FLAGS:
        return f"{flag}: is a flag of training alone; type python -m sweeper {flag}"
    if near and not equals:
        return f"{flag}: there is no such flag; type {' or '.join(near)}"
    suggestions = vocabulary.suggestions(name)
    if not suggestions:
        return f"{flag}: there is no such flag; type KEY=VALUE without dashes"
    texts = _meant(name, value if equals else _value_in(following), suggestions, vocabulary)
    hint = f"type {' or '.join(texts)}" if texts else _choice(suggestions, vocabulary)
    return f"{flag}: keys have no dashes; {hint}"


def word_advice(words: Sequence[str], vocabulary: Vocabulary) -> str | None:
    """Return the line for the first argument that is no override, or None if all are."""
    for i, word in enumerate(words):
        after = words[i + 1] if i + 1 < len(words) else None
        spaced = _spaced(word, words[i + 1 :])
        if spaced is not None:
            shown = " ".join(words[i : i + 3 if after == "=" else i + 2])
            key, _, value = spaced.partition("=")
            suggestions = [] if vocabulary.has(key) else vocabulary.suggestions(key)
            texts = _meant(key, value, suggestions, vocabulary) or [as_typed(spaced)]
            return f"{shown}: has spaces around =; type {' or '.join(texts)}"
        if "=" not in word and not word.startswith("~"):
            if i and (split := split_value(words[i - 1], words[i:])):
                shown, whole = split
                return f"{shown}: is one value with spaces; type {shell_word(whole)}"
            if near := _flags_with_hyphens(word):
                return f"{word}: has another dash than the keyboard's; type {' or '.join(near)}"
            return f"{word}: {_hint_for(word, after, vocabulary)}"
    return None


def _spaced(word: str, following: Sequence[str]) -> str | None:
    """Return the override that was typed with spaces around its `=`, or None."""
    if word in ("=",) or word.startswith("-"):
        return None
    if "=" not in word and following[:1] == ["="] and len(following) > 1:
        return f"{word}={following[1]}"
    if "=" not in word and following and re.match(r"=[^=]", following[0]):
        return f"{word}{following[0]}"
    if word.endswith("=") and word.count("=") == 1 and following and "=" not in following[0]:
        return f"{word}{following[0]}"
    return None


def _flags_with_hyphens(word: str) -> list[str]:
    """Return the flags that a word with other dashes is meant to be."""
    name = word.lstrip(DASHES)
    if len(name) == 1:
        return [f"-{name}"]
    return near_names(f"--{name}", FLAGS, cutoff=0.75) if name != word else []


def _hint_for(word: str, after: str | None, vocabulary: Vocabulary) -> str:
    """Return what to type for a word without `=`."""
    if word.endswith(CHECKPOINTS):
        path = shell_word(word)
        return (
            f"is a checkpoint; type python -m sweeper.evaluate checkpoint={path} to evaluate it, "
            f"or resume={path} to go on with it"
        )
    if word in COMMANDS:
        return f"is a command of its own; type python -m sweeper.{word} --help"
    if word in ("train", "run", "fit"):
        return "is what happens without this word; leave it out"
    if word in ("sweep", "multirun", "search", "study", "tune"):
        return "type --multirun to start a study"
    if f"--{word}" in FLAGS:
        return f"type --{word}"
    options = [
        f"{group}={option}"
        for group in vocabulary.groups
        for option in vocabulary.options(group)
        if "/" not in group and group != "search" and plain(option) == plain(word)
    ]
    if options:
        return f"type {' or '.join(options)}"
    suggestions = [Suggestion(word)] if vocabulary.has(word) else vocabulary.suggestions(word)
    if suggestions:
        texts = _meant(word, _value_in(after), suggestions, vocabulary)
        return f"type {' or '.join(texts)}" if texts else _choice(suggestions, vocabulary)
    key, colon, value = word.partition(":")
    if colon and vocabulary.has(key):
        return f"type {as_typed(f'{key}={value}')}"
    if Path(word).exists():
        return f"type a key in front of the path, such as data.root={shell_word(word)}"
    return "is neither GROUP=OPTION nor KEY=VALUE; --help shows the groups"


def _known(key: str, vocabulary: Vocabulary) -> str:
    """Return the keys of the group of an unknown key, or the groups."""
    group, dot, _ = key.rpartition(".")
    inside = [k for k in vocabulary.keys if k.startswith(f"{group}.")] if dot else []
    if 0 < len(inside) <= 24:
        return f"its keys are {', '.join(k.removeprefix(f'{group}.') for k in inside)}"
    return f"--cfg {'hydra' if key.startswith('hydra.') else 'job'} shows the keys"


def _choice(suggestions: Sequence[Suggestion], vocabulary: Vocabulary) -> str:
    """Return the end of a line about the first group that is suggested; empty if there is none."""
    group = next((each.key for each in suggestions if each.key in vocabulary.groups), None)
    return choose_one(group, vocabulary) if group else ""


def _value_in(following: str | None) -> str:
    """Return the argument after a key without a value, if it is that value."""
    is_value = following and "=" not in following and not re.match(r"-+[A-Za-z]", following)
    return following if following and is_value else PLACEHOLDER


def _meant(
    key: str, value: str, suggestions: Sequence[Suggestion], vocabulary: Vocabulary
) -> list[str]:
    """Return what to type for a value of a key, which may be one of other programs.

    Of a group that is suggested, only options that it has are named.
    """
    name = plain(key.rpartition(".")[2])
    if meant := MEANT.get(name if value == PLACEHOLDER else f"{key}={value}"):
        return [meant]
    values = MEANT_VALUES.get(name, (value,))
    texts = [
        text for v in values for each in suggestions for text in _typed_at(each, v, vocabulary)
    ]
    return texts or ([MEANT[name]] if name in MEANT else [])


def _typed_at(suggestion: Suggestion, value: str, vocabulary: Vocabulary) -> list[str]:
    if suggestion.key == "metric":
        value = re.sub(rf"^{TEST}", "val/", value)  # nothing is chosen by the test split
    if meant := MEANT.get(f"{suggestion.key}={value}"):
        return [meant]
    is_one = re.fullmatch(r"[\w./-]+", value) and value != PLACEHOLDER
    # Hydra's plugins have options that are not installed, and messages that say how to do it.
    is_own = suggestion.key in vocabulary.groups and not suggestion.key.startswith("hydra/")
    if is_one and is_own and value not in vocabulary.options(suggestion.key):
        return [as_typed(text) for text in option_texts(vocabulary, suggestion.key, value)]
    return [_as_typed(suggestion, value)]


def _as_typed(suggestion: Suggestion, value: str) -> str:
    override = as_typed(f"{suggestion.key}={value}")
    return f"{suggestion.choice} {override}" if suggestion.choice else override
