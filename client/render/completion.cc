#include "client/render/completion.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"

namespace penstock {
namespace {

constexpr char kBashHead[] =
    R"sh(# bash completion for penstock; use it with
#   source <(penstock completion bash)
_penstock_words() {
  local flags='' subcommands=''
  case "$1" in
)sh";

constexpr char kBashTail[] = R"sh(  esac
  case "$2" in
    flags) printf '%s' "$flags" ;;
    *) printf '%s' "$subcommands" ;;
  esac
}

_penstock() {
  local current="${COMP_WORDS[COMP_CWORD]}" path=penstock word i
  for ((i = 1; i < COMP_CWORD; i++)); do
    word="${COMP_WORDS[i]}"
    if [[ " $(_penstock_words "$path" subcommands) " == *" $word "* ]]; then
      path="$path $word"
    fi
  done
  COMPREPLY=()
  if [[ "$current" == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$(_penstock_words "$path" flags)" \
      -- "$current")
    return
  fi
  mapfile -t COMPREPLY < <(compgen -W \
    "$(_penstock_words "$path" subcommands)" -- "$current")
  if [[ ${#COMPREPLY[@]} -eq 0 ]]; then
    mapfile -t COMPREPLY < <(compgen -f -- "$current")
  fi
}
complete -o filenames -F _penstock penstock
)sh";

constexpr char kZshHead[] =
    R"sh(#compdef penstock
# zsh completion for penstock; use it with
#   source <(penstock completion zsh)
_penstock_words() {
  local flags='' subcommands=''
  case "$1" in
)sh";

constexpr char kZshTail[] = R"sh(  esac
  case "$2" in
    flags) print -rn -- "$flags" ;;
    *) print -rn -- "$subcommands" ;;
  esac
}

_penstock() {
  local command_path=penstock word
  local -a found
  for word in "${words[2,CURRENT-1]}"; do
    found=(${=$(_penstock_words "$command_path" subcommands)})
    if (( ${found[(Ie)$word]} )); then
      command_path="$command_path $word"
    fi
  done
  if [[ "${words[CURRENT]}" == -* ]]; then
    compadd -- ${=$(_penstock_words "$command_path" flags)}
    return
  fi
  found=(${=$(_penstock_words "$command_path" subcommands)})
  if (( ${#found} )); then
    compadd -- "${found[@]}"
  else
    _files
  fi
}
compdef _penstock penstock
)sh";

std::string SubcommandNames(const CommandNode& command) {
  return absl::StrJoin(
      command.subcommands, " ",
      [](std::string* out, const CommandNode::Subcommand& subcommand) {
        out->append(subcommand.name);
      });
}

// Within single quotes of a POSIX-like shell.
std::string Quoted(const std::string& text) {
  return absl::StrCat("'", absl::StrReplaceAll(text, {{"'", "'\\''"}}), "'");
}

// One `case` branch for each command: its flags and its subcommands.
std::string Cases(const std::vector<CommandNode>& commands) {
  std::string cases;
  for (const CommandNode& command : commands) {
    absl::StrAppend(&cases, "    ", Quoted(command.path), ")\n      flags=",
                    Quoted(absl::StrJoin(command.flags, " ")),
                    "\n      subcommands=", Quoted(SubcommandNames(command)),
                    "\n      ;;\n");
  }
  return cases;
}

}  // namespace

std::string BashCompletion(const std::vector<CommandNode>& commands) {
  return absl::StrCat(kBashHead, Cases(commands), kBashTail);
}

std::string ZshCompletion(const std::vector<CommandNode>& commands) {
  return absl::StrCat(kZshHead, Cases(commands), kZshTail);
}

std::string FishCompletion(const std::vector<CommandNode>& commands) {
  std::string script =
      "# fish completion for penstock; use it with\n"
      "#   penstock completion fish | source\n";
  for (const CommandNode& command : commands) {
    const std::vector<std::string> words = absl::StrSplit(command.path, ' ');
    // All words of the command were seen, and none of its subcommands.
    std::string condition;
    for (size_t i = 1; i < words.size(); ++i) {
      absl::StrAppend(&condition, condition.empty() ? "" : "; and ",
                      "__fish_seen_subcommand_from ", words[i]);
    }
    if (!command.subcommands.empty()) {
      absl::StrAppend(&condition, condition.empty() ? "" : "; and ",
                      "not __fish_seen_subcommand_from ",
                      SubcommandNames(command));
    }
    const std::string head =
        absl::StrCat("complete -c penstock -n ", Quoted(condition));
    for (const CommandNode::Subcommand& subcommand : command.subcommands) {
      absl::StrAppend(&script, head, " -f -a ", subcommand.name, " -d ",
                      Quoted(subcommand.description), "\n");
    }
    for (const std::string& flag : command.flags) {
      const bool is_long = flag.size() > 2;
      absl::StrAppend(&script, head, is_long ? " -l " : " -s ",
                      flag.substr(is_long ? 2 : 1), "\n");
    }
  }
  return script;
}

}  // namespace penstock
