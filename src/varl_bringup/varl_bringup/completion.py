"""Completion of ``varl``'s commands, arguments and their choices in bash and zsh."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path

from varl_common.arguments import Argument

SCRIPT = """# eval "$(varl completion)" in ~/.bashrc or ~/.zshrc
if [ -n "${ZSH_VERSION-}" ]; then autoload -Uz bashcompinit && bashcompinit; fi
_varl() {
  local line="${COMP_LINE:0:$COMP_POINT}" word
  word="${line##*[[:space:]]}"
  COMPREPLY=()
  # ':' and '=' end a word of bash's own: what stands before the last of them is not repeated.
  local given="${COMP_WORDS[COMP_CWORD]}" found
  case "$given" in :|=|:=) given="" ;; esac
  while IFS= read -r found; do
    COMPREPLY+=("${found#"${word%"$given"}"}")
  done < <(varl completion -- "${line#*varl}" 2>/dev/null)
  case "${COMPREPLY[*]}" in *:=) compopt -o nospace 2>/dev/null ;; esac
}
complete -o default -F _varl varl
"""


def arguments_of(executable: str) -> tuple[Argument, ...]:
    """Those of a console script, by their names: read from its module, which takes seconds to import."""
    found = []
    for entry in entry_points(group="console_scripts", name=executable):
        package, *rooms = entry.module.split(".")
        for folder in import_module(package).__path__:
            source = Path(folder, *rooms).with_suffix(".py").read_text(encoding="utf-8")
            calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
            found += [call.args[0] for call in calls if ast.unparse(call.func) == "Argument"]
    return tuple(Argument(ast.literal_eval(name), "") for name in found)


def candidates(line: str, commands: Iterable[str], arguments: Mapping[str, Sequence[Argument]]) -> list[str]:
    """What may stand for the last word of ``line``, which is what follows ``varl`` so far."""
    words = line.split()
    last = "" if not words or line[-1:].isspace() else words.pop()
    if not words:
        return sorted(name for name in commands if name.startswith(last))
    known = {argument.name: argument for argument in arguments.get(words[0].replace("-", "_"), ())}
    name, assign, value = last.partition(":=")
    if not assign:
        given = {word.partition(":=")[0] for word in words[1:]}
        return sorted(f"{one}:=" for one in known if one.startswith(last) and one not in given)
    choices = known[name].choices if name in known else ()
    if name in ("task", "robot"):
        from varl_robot_env.config.paths import config_folder

        choices = tuple(path.stem for path in Path(config_folder() / f"{name}s").glob("*.yaml"))
    return sorted(f"{name}:={choice}" for choice in choices if choice.startswith(value))
