#!/bin/sh
# Looks at this account for `doctor` and changes nothing: no server is started,
# and what is run keeps its files in a temporary directory, which is removed.
#
# The client puts this text before the last line of opencode-ssh.sh, whose
# functions it uses, with these assignments beside those named there:
#   ocs_action   doctor
#   ocs_port     of the server that a connection would use or start; never ''
#   ocs_secret   1: tell the password of a registered server
#   ocs_launch   the texts of opencode-launch.sh and opencode-doctor-launch.sh
#
# It answers in lines "NONCE found JSON":
#   {"account":{"shell","home","system","state","problem","path","free"}}
#     problem: '' or why nothing could be kept in path: missing | denied |
#     read-only | full | unsafe; free: KiB left there, null if unknown
#   {"registered":{…}}   as action "look" answers
#   {"listener":""}      who listens on the port: none | own | other | unknown
#   {"login":""}         whose PATH was searched: of the login shell as an
#                        interactive one or a plain one, or of this session:
#                        interactive | login | session
#   {"searched":[],"candidates":[{"path","executable","version","generation",
#     "problem","detail"}]}
#     in the order of the search; problem: '' | architecture | mode | crash |
#     timeout
# and at last "NONCE result {"examined":true}", or an error as of the others.

# Assigned by the client, or by opencode-ssh.sh:
# shellcheck disable=SC2154

# Ends what was started: it must be gone before its directory is.
ocs_doctor_end() {
  ocs_shell_end
  wait
}

# HUP or TERM.
# shellcheck disable=SC2317 # by trap
ocs_doctor_interrupted() {
  trap '' HUP INT TERM
  ocs_doctor_end
  ocs_interrupted
}

# Sets ocs_problem to why nobody could write to directory $1; '' if one can.
# An own directory that its mode opens to us is closed by its file system.
ocs_writable() {
  ocs_problem=''
  [ ! -w "$1" ] || [ ! -x "$1" ] || return 0
  ocs_problem=denied
  # shellcheck disable=SC2046 # mode, links, owner: the first words of ls
  set -- $(ls -ldn "$1/." 2>/dev/null)
  case ${3-},${1-} in
    "$ocs_user",d?wx*) ocs_problem=read-only ;;
  esac
}

# Sets ocs_free to the KiB that are left where $1 is; '' if nobody knows. The
# number stands before the percentage; names around them may have spaces.
ocs_free_space() {
  ocs_free=$(LC_ALL=C df -P -k "$1" 2>/dev/null |
    LC_ALL=C awk 'NR > 1 { for (i = 2; i <= NF; i++) if ($i ~ /^[0-9]+%$/ && $(i - 1) ~ /^[0-9]+$/) { print $(i - 1); exit } }')
}

# What a server and its registration would need.
ocs_account() {
  ocs_problem=''
  ocs_place=$HOME
  if [ ! -d "$HOME" ]; then
    ocs_problem=missing
  else
    ocs_writable "$HOME"
  fi
  if [ -z "$ocs_problem" ]; then
    ocs_place=$ocs_home
    if [ -e "$ocs_place" ] || [ -h "$ocs_place" ]; then
      ocs_check d "$ocs_place"
      case $ocs_unsafe in
        # This is put right when a server is started.
        '' | 'writable by others') ;;
        *) ocs_problem=unsafe ;;
      esac
    fi
    while [ ! -d "$ocs_place" ] && [ -n "$ocs_place" ]; do ocs_place=${ocs_place%/*}; done
    ocs_place=${ocs_place:-/}
    [ -n "$ocs_problem" ] || ocs_writable "$ocs_place"
  fi
  ocs_free_space "$ocs_place"
  if [ -z "$ocs_problem" ] && [ "$ocs_free" = 0 ]; then ocs_problem=full; fi
  printf '{"account":{"shell":%s,"home":%s,"system":%s,"state":%s,' "$(ocs_json "${SHELL-}")" \
    "$(ocs_json "$HOME")" "$(ocs_json "$(uname -s -m)")" "$(ocs_json "$ocs_home")"
  printf '"problem":"%s","path":%s,"free":%s}}' "$ocs_problem" "$(ocs_json "$ocs_place")" "${ocs_free:-null}"
}

ocs_listener_word() {
  ocs_listening "$ocs_port" 6
  if [ -n "$ocs_blind" ]; then
    ocs_listener=unknown
    return
  fi
  case $ocs_listener in
    '') ocs_listener=none ;;
    "$ocs_user") ocs_listener=own ;;
    '?') ocs_listener=unknown ;;
    *) ocs_listener=other ;;
  esac
}

# A directory of our own in the first place that takes one; false if none
# does. The name cannot be guessed, and mkdir fails where it exists.
ocs_make_throw_away() {
  for ocs_place in "${TMPDIR-}" /tmp /var/tmp /dev/shm "${XDG_RUNTIME_DIR-}"; do
    case $ocs_place in
      /*) ;;
      *) continue ;;
    esac
    ocs_dir=${ocs_place%/}/opencode-ssh-doctor-$ocs_nonce
    # A full disk lets a directory be made, and no file in it.
    if mkdir "$ocs_dir" 2>/dev/null; then
      if (printf '%s\n' "$ocs_launch" >"$ocs_dir/launch") 2>/dev/null &&
        [ "$(tail -n 1 "$ocs_dir/launch")" = "${ocs_launch##*"
"}" ]; then return 0; fi
      rm -rf "$ocs_dir"
    fi
  done
  ocs_dir=''
  return 1
}

# Candidate $1, whose directory is $2, as JSON.
ocs_candidate() {
  ocs_executable=false
  [ ! -e "$2/executable" ] || ocs_executable=true
  ocs_file_value "$2/version"
  ocs_version=$ocs_value
  ocs_file_value "$2/generation"
  ocs_generation=$ocs_value
  ocs_file_value "$2/failed"
  if [ -z "$ocs_value$ocs_generation" ]; then
    ocs_value=timeout
    [ "$ocs_executable" = true ] || ocs_value=mode
  fi
  printf '{"path":"%s","executable":%s,"version":%s,"generation":"%s","problem":"%s","detail":' \
    "$(ocs_escape <"$2/path")" "$ocs_executable" "$(ocs_json "$ocs_version")" "$ocs_generation" "$ocs_value"
  if [ -n "$ocs_value" ]; then ocs_tail "$2/detail"; else printf '""'; fi
  printf '}'
}

ocs_candidates() {
  printf '{"searched":%s,"candidates":[' "$(ocs_array "$ocs_dir/searched")"
  ocs_number=1
  while [ -f "$ocs_dir/candidate$ocs_number/path" ]; do
    [ "$ocs_number" -eq 1 ] || printf ','
    ocs_candidate "$ocs_number" "$ocs_dir/candidate$ocs_number"
    ocs_number=$((ocs_number + 1))
  done
  printf ']}'
}

ocs_do_doctor() {
  trap ocs_doctor_interrupted HUP INT TERM
  ocs_say found "$(ocs_account)"
  if [ -n "$ocs_secret" ]; then ocs_secret=secret; else ocs_secret=public; fi
  ocs_say found "{\"registered\":$(ocs_looked "$ocs_secret")}"
  ocs_listener_word
  ocs_say found "{\"listener\":\"$ocs_listener\"}"
  ocs_make_throw_away || ocs_error RemoteNotWritable "\"path\":$(ocs_json "${TMPDIR:-/tmp}"),\"problem\":\"full\""
  # shellcheck disable=SC2034 # ocs_write_launch names it
  ocs_r_file=''
  ocs_enter doctor
  case $ocs_shell_try in
    1) ocs_login=interactive ;;
    2) ocs_login=login ;;
    *) ocs_login=session ;;
  esac
  ocs_say found "{\"login\":\"$ocs_login\"}"
  while [ ! -f "$ocs_dir/examined" ] && [ ! -e "$ocs_dir/shell.$ocs_shell_try.ended" ] && ! ocs_late; do ocs_pause; done
  ocs_doctor_end
  ocs_answer=$(ocs_candidates)
  # Before the client hears it, and may go.
  ocs_cleanup
  ocs_say found "$ocs_answer"
  ocs_result '{"examined":true}'
  ocs_leave
}
