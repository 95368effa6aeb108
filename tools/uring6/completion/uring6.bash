# Completion of the command uring6 for bash. Options and subcommands are read from `uring6 --help`, so they are those of
# the command that is installed.

_uring6() {
  local command=${COMP_WORDS[0]} current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
  local word words='' value='' subcommand=() help
  COMPREPLY=()
  for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    if [[ $word != -* ]]; then
      subcommand=("$word")
      break
    fi
  done
  help=$("$command" "${subcommand[@]}" --help 2>/dev/null) || return 0
  # The value of an option: the word in capitals behind its names.
  if [[ $previous == -* ]]; then
    value=$(awk -v option="$previous" '/^  -/ { split($1 (($2 ~ /^-/) ? $2 : ""), names, ",")
      for (i in names) if (names[i] == option) { value = $2 ~ /^-/ ? $3 : $2; if (value ~ /^[A-Z][A-Z]/) print value } }' <<<"$help")
  fi
  if [[ -n $value ]]; then
    case $previous in
      -i | --interface) words=$(cd /sys/class/net 2>/dev/null && echo *) ;;
    esac
  elif [[ $current == -* ]]; then
    words=$(awk '/^  -/ { print $1; if ($2 ~ /^-/) print $2 }' <<<"$help" | tr ',' '\n')
  elif ((${#subcommand[@]} == 0)); then
    words=$(awk '/^[^ ]/ { inside = /^Subcommands:/ } inside && /^  [a-z]/ { print $1 }' <<<"$help")
  fi
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}

complete -F _uring6 uring6
