#!/bin/sh
# Finds, starts, reports and ends the OpenCode server of this account. Runs as
# `exec sh -s` of one ssh session, so this text arrives on stdin.
#
# In front of it the client puts assignments of quoted, validated words:
#   ocs_nonce          hex; marks our lines among the noise of rc files
#   ocs_action         ensure | look | status | stop | log | doctor
#   ocs_port           where a new server must listen; '' = opencode's choice.
#                      For look: the port that would get the client's own password
#   ocs_password       of a new server: letters, digits, - and _
#   ocs_username       of a new server: letters, digits, . - and _
#   ocs_lifetime       persistent | session
#   ocs_ranges         supported versions as half-open intervals
#                      "1.0.0:3.0.0,5.0.0:"; see opencode-launch.sh
#   ocs_names          versions that are allowed by name, "local,nightly"
#   ocs_seconds        limit of the whole job
#   ocs_shell_seconds  limit of the login shell's start-up files
#   ocs_kill_seconds   between SIGTERM and SIGKILL
#   ocs_lines          how much of the log
#   ocs_follow         1: log goes on until the client is gone
#   ocs_launch         the text of opencode-launch.sh
#   ocs_proc           /proc
#
# It answers in lines "NONCE KIND REST" on stdout:
#   step looking|starting|waiting
#   found {"path","version","generation"}   before anything is started
#   log <a line of the server's log as it is>
#   result {"server":{}|null,"ignored":[]} | {"stopped":{}} | {"log":{}} | {"error":{"_tag",…}}
# The result is always the last but for lifetime "session", where the script
# then waits for the end of stdin and ends the server.
#
# Rules: no `read` of stdin, no here-document (dash reads ahead), no eval, no
# text of a user but as a quoted word. POSIX sh and POSIX tools; sleep 0.1,
# setsid and /proc are used where they exist. Nothing runs before the last
# line has arrived, so a cut transfer does nothing.
#
# Files, all in ${XDG_STATE_HOME:-~/.local/state}/opencode-ssh (0700):
#   server.json         the registration (0600). A home directory may be shared
#                       by several hosts: server-HOST.json where server.json
#                       belongs to another one. HOST is the host's name and a
#                       checksum of it and its machine-id.
#   server-HOST.log     the server's output; .1 is the previous one
#   lock-HOST           a symbolic link: created atomically with its owner in
#                       it, which a directory cannot; see ocs_lock
#   lease-HOST+PID+TIME a client with lifetime "session" that uses the server
#   start-HOST+PID+NONCE/   what one start needs; swept by the next one

# Assigned by the client:
# shellcheck disable=SC2154

# ---- output -----------------------------------------------------------------

# Prints a word as it is. Where printf is a program (mksh), a secret would show
# among its arguments.
ocs_print() {
  case $ocs_printer in
    print) print -rn -- "$1" ;;
    *) printf '%s' "$1" ;;
  esac
}

# On a line of its own, whatever an rc file left unfinished.
ocs_say() {
  ocs_print "
$ocs_nonce $*
"
}

ocs_result() {
  ocs_say result "$1"
}

# stdin as the inside of a JSON string, without terminal colours and NUL.
ocs_escape() {
  LC_ALL=C tr -d '\000' | LC_ALL=C awk '
    BEGIN {
      for (i = 1; i < 32; i++) map[sprintf("%c", i)] = sprintf("\\u%04x", i)
      map["\177"] = "\\u007f"; map["\t"] = "\\t"; map["\r"] = "\\r"; map["\""] = "\\\""; map["\\"] = "\\\\"
    }
    {
      gsub(/\033\[[0-9;?]*[A-Za-z]/, "")
      out = NR > 1 ? "\\n" : ""
      n = length($0)
      for (i = 1; i <= n; i++) { c = substr($0, i, 1); out = out ((c in map) ? map[c] : c) }
      printf "%s", out
    }'
}

# A word as a JSON string. The plain ones, nearly all, cost no process.
ocs_json() {
  case $1 in
    *[!A-Za-z0-9/._:,@%+=\ -]*)
      printf '"'
      printf '%s' "$1" | ocs_escape
      printf '"'
      ;;
    *) printf '"%s"' "$1" ;;
  esac
}

# The end of a file as a JSON string: at most 8 KiB of it.
ocs_tail() {
  printf '"'
  [ -f "$1" ] && tail -c 8000 "$1" 2>/dev/null | ocs_escape
  printf '"'
}

# The lines of a file as a JSON array.
ocs_array() {
  printf '['
  ocs_comma=''
  if [ -f "$1" ]; then
    while IFS= read -r ocs_line; do
      printf '%s' "$ocs_comma"
      ocs_json "$ocs_line"
      ocs_comma=,
    done <"$1"
  fi
  printf ']'
}

# Ends the script with an error: its tag, then its JSON members.
ocs_error() {
  ocs_result "{\"error\":{\"_tag\":\"$1\"${2:+,$2}}}"
  ocs_leave
}

ocs_leave() {
  ocs_cleanup
  exit 0
}

ocs_cleanup() {
  if [ -n "$ocs_lease" ]; then
    rm -f "$ocs_lease"
    ocs_lease=''
  fi
  ocs_done
}

# The start is over: its directory, a claim nobody filled in, the lock.
ocs_done() {
  if [ -n "$ocs_dir" ]; then
    [ -z "$ocs_pending" ] || ocs_shell_end
    # The launcher ends when its directory is gone, and nothing starts without.
    rm -rf "$ocs_dir"
    ocs_dir=''
  fi
  if [ -n "$ocs_pending" ]; then
    # Claimed, but no server came to fill it in.
    if ocs_read "$ocs_pending" && [ "$ocs_r_id$ocs_r_pid" = "${ocs_nonce}0" ]; then rm -f "$ocs_pending"; fi
    ocs_pending=''
  fi
  [ -z "$ocs_locked" ] || ocs_unlock
}

# HUP or TERM: the session is being ended by sshd or the system.
# shellcheck disable=SC2317 # by trap
ocs_interrupted() {
  trap '' HUP INT TERM
  [ -z "$ocs_held" ] || ocs_release
  ocs_cleanup
  exit 143
}

# ---- time and processes -----------------------------------------------------

ocs_clock() {
  ocs_now=$(date +%s 2>/dev/null)
  case $ocs_now in
    '' | *[!0-9]*) ocs_now=$(awk 'BEGIN { srand(); print srand() }' </dev/null) ;;
  esac
}

# True once the limit of the whole job is over.
ocs_late() {
  ocs_clock
  [ "$ocs_now" -ge "$ocs_deadline" ]
}

ocs_pause() {
  sleep "$ocs_nap"
}

# What tells a process from a later one with the same number: its start time.
# Sets ocs_start ('' when there is no such live process) and ocs_group.
ocs_look_at() {
  ocs_start=''
  ocs_group=''
  ocs_state=''
  case $1 in
    '' | 0 | 1 | *[!0-9]*) return 1 ;;
  esac
  if [ -n "$ocs_procfs" ]; then
    { IFS= read -r ocs_stat <"$ocs_proc/$1/stat"; } 2>/dev/null || return 1
    # shellcheck disable=SC2086 # the fields behind the program's name
    set -- ${ocs_stat##*\) }
    [ "$#" -ge 20 ] || return 1
    ocs_state=$1
    ocs_group=$3
    ocs_start=${20}
  else
    # shellcheck disable=SC2046 # the words of its columns
    set -- $(LC_ALL=C TZ=UTC0 ps -o stat= -o pgid= -o lstart= -p "$1" 2>/dev/null)
    [ "$#" -ge 7 ] || return 1
    ocs_state=$1
    ocs_group=$2
    shift 2
    ocs_start=$(printf '%s' "$*" | tr ' ' _)
  fi
  case $ocs_state in
    Z* | X*)
      ocs_start=''
      return 1
      ;;
  esac
}

# Is process $1 alive, and the one that started at $2?
ocs_alive() {
  ocs_look_at "$1" && [ "$ocs_start" = "$2" ]
}

# Ends process $1, started at $2: its whole group when it leads one.
ocs_end() {
  ocs_alive "$1" "$2" || return 0
  ocs_target=$1
  [ "$ocs_group" != "$1" ] || ocs_target=-$1
  kill -s TERM -- "$ocs_target" 2>/dev/null
  ocs_clock
  ocs_until=$((ocs_now + ocs_kill_seconds))
  while ocs_alive "$1" "$2"; do
    ocs_clock
    if [ "$ocs_now" -gt "$ocs_until" ]; then
      kill -s KILL -- "$ocs_target" 2>/dev/null
      ocs_until=$((ocs_now + 60))
    fi
    ocs_pause
  done
  # What its leader left behind: a wrapper's real server, for one.
  case $ocs_target in
    -*) kill -s KILL -- "$ocs_target" 2>/dev/null ;;
  esac
  return 0
}

# Who answers on 127.0.0.1, port $1? Sets ocs_listener: '' nobody, a user id,
# or ? (somebody; when ocs_blind is set as well there is no way to tell). A
# listener on all IPv6 addresses may or may not take IPv4: with $2 it counts.
ocs_listening() {
  ocs_listener=''
  ocs_blind=''
  if [ -r "$ocs_proc/net/tcp" ]; then
    ocs_listener=$(LC_ALL=C awk -v port="$(printf ':%04X' "$1")" -v six="${2-}" '
      $4 != "0A" || substr($2, length($2) - 4) != port { next }
      $2 ~ /^(0100007F|7F000001|0000000000000000FFFF00000100007F|00000000000000000000FFFF7F000001):/ { own = $8 }
      $2 ~ /^00000000:/ || (six && $2 ~ /^00000000000000000000000000000000:/) { any = $8 }
      END { print (own != "" ? own : any) }
    ' "$ocs_proc/net/tcp" "$ocs_proc/net/tcp6" 2>/dev/null)
    return 0
  fi
  ocs_sockets=$(ss -ltn 2>/dev/null || netstat -an 2>/dev/null)
  if [ -z "$ocs_sockets" ]; then
    ocs_blind=1
    ocs_listener='?'
    return 0
  fi
  ocs_listener=$(printf '%s\n' "$ocs_sockets" |
    LC_ALL=C awk -v port="$1" '/LISTEN/ && $4 ~ ("[.:]" port "$") { print "?"; exit }')
}

# ---- where we are -----------------------------------------------------------

ocs_setup() {
  set +e +C +x +v
  set -fu
  ocs_umask=$(umask)
  umask 077
  # An exported shell function must not stand in for a tool.
  unset -f awk cat chmod cksum cut date dd head id kill ln ls mkdir mv ps read rm sed sleep tail tr umask uname 2>/dev/null
  IFS=' 	
'
  ocs_dir='' ocs_locked='' ocs_lease='' ocs_held='' ocs_pending='' ocs_shell_try=0
  ocs_printer=''
  case $(command -v printf) in
    /*) ocs_printer=$(command -v print) ;;
  esac
  trap ocs_interrupted HUP INT TERM
  # Not ignored (the server would inherit that): a client that is gone must
  # not cut the work short between start and registration.
  trap : PIPE
  ocs_path=${PATH-}
  PATH=${PATH:+$PATH:}/usr/bin:/bin:/usr/sbin:/sbin
  # Not exported where it was not: the server keeps the user's locale.
  ocs_locale=${LC_ALL-}
  ocs_locale_set=${LC_ALL+1}
  LC_ALL=C
  unset CDPATH
  ocs_nap=0.1
  sleep 0.01 2>/dev/null || ocs_nap=1
  ocs_clock
  ocs_begin=$ocs_now
  # The clock has whole seconds: one more, for the one that has begun.
  ocs_deadline=$((ocs_begin + ocs_seconds + 1))

  for ocs_tool in awk cat chmod cksum cut date dd id ln ls mkdir mv rm sed sleep tail tr uname; do
    command -v "$ocs_tool" >/dev/null 2>&1 ||
      ocs_error UnsupportedRemote "\"detail\":\"it has no $ocs_tool\""
  done
  ocs_system=$(uname -s)
  case $ocs_system in
    MINGW* | MSYS* | CYGWIN* | Windows*)
      ocs_error UnsupportedRemote "\"detail\":\"$ocs_system is not supported, only Linux, macOS and their like\""
      ;;
  esac
  case ${HOME-} in
    /*) ;;
    *) ocs_error UnsupportedRemote "\"detail\":\"HOME is not set to a directory\"" ;;
  esac
  ocs_user=$(id -u)
  ocs_sh=/bin/sh
  if [ ! -x "$ocs_sh" ]; then
    ocs_sh=$(command -v sh)
    case $ocs_sh in
      /*[!A-Za-z0-9/._+-]*) ocs_error UnsupportedRemote "\"detail\":\"it has no /bin/sh\"" ;;
      /*) ;;
      *) ocs_error UnsupportedRemote "\"detail\":\"it has no /bin/sh\"" ;;
    esac
  fi

  ocs_procfs=''
  [ -r "$ocs_proc/$$/stat" ] && ocs_procfs=1
  ocs_hostname=$(uname -n)
  ocs_machine=''
  for ocs_file in /etc/machine-id /var/lib/dbus/machine-id; do
    if [ -r "$ocs_file" ] && IFS= read -r ocs_machine <"$ocs_file" && [ -n "$ocs_machine" ]; then break; fi
  done
  [ -n "$ocs_machine" ] || ocs_machine=$(sysctl -n kern.hostuuid 2>/dev/null)
  # shellcheck disable=SC2046 # the first word of cksum
  set -- $(printf '%s %s' "$ocs_hostname" "$ocs_machine" | cksum)
  ocs_host=$(printf '%s' "$ocs_hostname" | tr -c 'A-Za-z0-9.-' _ | cut -c 1-60)-$1
  # The boot, and on Linux the process namespace: a number and a start time
  # mean nothing in another container on the same kernel.
  ocs_boot=''
  if [ -r "$ocs_proc/sys/kernel/random/boot_id" ]; then
    IFS= read -r ocs_boot <"$ocs_proc/sys/kernel/random/boot_id"
    ocs_space=$(ls -ld "$ocs_proc/self/ns/pid" 2>/dev/null)
    ocs_boot=$ocs_boot.$(printf '%s' "${ocs_space##*:}" | tr -cd 0-9)
  else
    ocs_boot=$(sysctl -n kern.bootsessionuuid 2>/dev/null ||
      sysctl -n kern.boottime 2>/dev/null | sed 's/^[^0-9]*\([0-9]*\).*/\1/')
    ocs_boot=$(printf '%s' "$ocs_boot" | tr -cd 'A-Za-z0-9-')
  fi
  ocs_look_at $$
  ocs_self=$ocs_start

  ocs_base=$HOME/.local/state
  case ${XDG_STATE_HOME-} in
    /*) ocs_base=${XDG_STATE_HOME%/} ;;
  esac
  ocs_home=$ocs_base/opencode-ssh
  ocs_log=$ocs_home/server-$ocs_host.log
  ocs_ignored=''
}

# ---- files that others could have made --------------------------------------

# Sets ocs_unsafe to why file or directory $2 (of kind $1, as ls shows it)
# must not be trusted; '' if it may.
ocs_check() {
  ocs_unsafe=''
  # shellcheck disable=SC2046 # mode, links, owner: the first words of ls
  set -- "$1" $(ls -ldn "$2" 2>/dev/null)
  if [ "$#" -lt 4 ]; then
    ocs_unsafe=missing
    return
  fi
  case $2 in
    "$1"*) ;;
    l*) ocs_unsafe='a symbolic link' ;;
    *) ocs_unsafe='not of the right kind' ;;
  esac
  [ "$4" = "$ocs_user" ] || ocs_unsafe='owned by somebody else'
  case $2 in
    l*) ;;
    ?????w* | ????????w*) ocs_unsafe='writable by others' ;;
  esac
}

ocs_ignore() {
  ocs_ignored="$ocs_ignored${ocs_ignored:+,}{\"path\":$(ocs_json "$1"),\"why\":\"$2\"}"
}

# Makes the state directory, or ends with what prevents it.
ocs_make_home() {
  if [ ! -d "$ocs_home" ]; then
    ocs_said=$(mkdir -p "$ocs_base" 2>&1 && mkdir "$ocs_home" 2>&1) ||
      [ -d "$ocs_home" ] || ocs_not_writable "$ocs_home" "$ocs_said"
  fi
  ocs_check d "$ocs_home"
  if [ "$ocs_unsafe" = 'writable by others' ]; then
    chmod 700 "$ocs_home" 2>/dev/null
    ocs_check d "$ocs_home"
  fi
  [ -z "$ocs_unsafe" ] || ocs_error RemoteNotWritable "\"path\":$(ocs_json "$ocs_home"),\"problem\":\"unsafe\""
}

# Ends with RemoteNotWritable for path $1, by the words $2 of a tool.
ocs_not_writable() {
  case $2 in
    *[Nn]'o space left'* | *'uota exceeded'* | *'I/O error'* | *'rite error'* | *ENOSPC* | *EDQUOT* | *'disk is full'*) ocs_problem=full ;;
    *[Rr]'ead-only file system'* | *EROFS*) ocs_problem=read-only ;;
    *) ocs_problem=denied ;;
  esac
  ocs_error RemoteNotWritable "\"path\":$(ocs_json "$1"),\"problem\":\"$ocs_problem\""
}

# ---- registrations ----------------------------------------------------------

# The values of the named members of a flat JSON object, one a line, each
# behind "=", strings as they stand between their quotes. No string can pass
# for a member's name: a quote inside a string has a backslash before it.
ocs_members() {
  ocs_file=$1
  shift
  # For "$*": an awk may refuse a line break in -v.
  IFS=' '
  dd if="$ocs_file" bs=65536 count=1 2>/dev/null | LC_ALL=C tr '\000-\037\177' ' ' |
    LC_ALL=C awk -v names="$*" '
      { text = text $0 }
      END {
        count = split(names, name, " ")
        for (i = 1; i <= count; i++) {
          value = ""
          if (match(text, "\"" name[i] "\"[ \t]*:[ \t]*(\"([^\"\\\\]|\\\\.)*\"|-?[0-9]+)")) {
            value = substr(text, RSTART + length(name[i]) + 2, RLENGTH - length(name[i]) - 2)
            sub(/^[ \t]*:[ \t]*/, "", value)
            if (value ~ /^"/) value = substr(value, 2, length(value) - 2)
          }
          print "=" value
        }
      }'
}

# Reads registration $1 into ocs_r_*; false if it is not ours to trust.
ocs_read() {
  [ -e "$1" ] || [ -h "$1" ] || return 1
  ocs_check - "$1"
  if [ -n "$ocs_unsafe" ]; then
    ocs_ignore "$1" "$ocs_unsafe"
    return 1
  fi
  ocs_r_file=$1
  ocs_ifs=$IFS
  IFS='
'
  # shellcheck disable=SC2046 # one word a line
  set -- $(ocs_members "$1" id state generation pid startTime bootId host port version username password \
    lifetime startedAt service binary)
  IFS=$ocs_ifs
  [ "$#" -eq 15 ] || return 1
  ocs_r_id=${1#=} ocs_r_state=${2#=} ocs_r_generation=${3#=} ocs_r_pid=${4#=} ocs_r_start=${5#=} ocs_r_boot=${6#=}
  ocs_r_host=${7#=} ocs_r_port=${8#=} ocs_r_version=${9#=} ocs_r_username=${10#=} ocs_r_password=${11#=}
  ocs_r_lifetime=${12#=} ocs_r_at=${13#=} ocs_r_service=${14#=} ocs_r_binary=${15#=}
  case $ocs_r_service$ocs_r_binary in
    *\\*)
      ocs_r_service=$(ocs_unescape "$ocs_r_service")
      ocs_r_binary=$(ocs_unescape "$ocs_r_binary")
      ;;
  esac
  case $ocs_r_pid,$ocs_r_port in
    ,* | *, | *[!0-9,]* | *,??????*)
      ocs_ignore "$ocs_r_file" 'not a registration'
      return 1
      ;;
  esac
}

# A path out of JSON; those with control characters never get there.
ocs_unescape() {
  printf '%s' "$1" | sed 's/\\\(["\\]\)/\1/g'
}

# Is the process of the registration just read alive, on this host and boot?
ocs_living() {
  [ "$ocs_r_host" = "$ocs_host" ] && [ "$ocs_r_boot" = "$ocs_boot" ] && [ -n "$ocs_r_start" ] &&
    ocs_alive "$ocs_r_pid" "$ocs_r_start"
}

# Whether the server has said in its log where it listens. Sets ocs_r_url.
ocs_told() {
  ocs_r_url=$(LC_ALL=C sed -n 's/.*listening on \(http:\/\/[0-9A-Za-z.]*:[0-9][0-9]*\).*/\1/p' "$ocs_log" 2>/dev/null | tail -n 1)
  [ -n "$ocs_r_url" ]
}

# Finds this host's registration and sets ocs_r_*, ocs_r_file and ocs_found:
#   ready      its process lives and listens
#   starting   its process lives and has not said where it listens
#   deaf       its process lives and does not listen any more
#   ''         nothing of ours is alive
# A registration of another host is neither used nor touched.
ocs_find() {
  ocs_found=''
  ocs_ignored=''
  [ -d "$ocs_home" ] || return 1
  ocs_check d "$ocs_home"
  if [ -n "$ocs_unsafe" ]; then
    ocs_ignore "$ocs_home" "$ocs_unsafe"
    return 1
  fi
  for ocs_candidate in "$ocs_home/server-$ocs_host.json" "$ocs_home/server.json"; do
    ocs_read "$ocs_candidate" || continue
    if [ "$ocs_r_host" != "$ocs_host" ]; then
      ocs_ignore "$ocs_candidate" 'of another host'
      continue
    fi
    ocs_living || continue
    ocs_found=starting
    if [ "$ocs_r_state" != ready ] && ocs_told; then
      # Nobody waited long enough to write down that it got there.
      ocs_r_port=${ocs_r_url##*:}
      ocs_r_state=ready
    fi
    if [ "$ocs_r_state" = ready ]; then
      ocs_listening "$ocs_r_port" 6
      case $ocs_listener in
        "$ocs_user" | '?') ocs_found=ready ;;
        *) ocs_found=deaf ;;
      esac
    fi
    # The password of OpenCode 2 is its own business, and its file says it.
    if [ "$ocs_r_generation" = v2 ] && [ -n "$ocs_r_service" ]; then
      ocs_service_password=''
      if ocs_read_service "$ocs_r_service" && [ "$ocs_v_pid" = "$ocs_r_pid" ]; then
        ocs_service_password=$ocs_v_password
      fi
      ocs_r_password=$ocs_service_password
    fi
    return 0
  done
  return 1
}

# OpenCode 2's own registration, never written by us. Sets ocs_v_*.
ocs_read_service() {
  [ -e "$1" ] || [ -h "$1" ] || return 1
  ocs_check - "$1"
  if [ -n "$ocs_unsafe" ]; then
    ocs_ignore "$1" "$ocs_unsafe"
    return 1
  fi
  ocs_v_file=$1
  ocs_ifs=$IFS
  IFS='
'
  # shellcheck disable=SC2046 # one word a line
  set -- $(ocs_members "$1" url pid version username password)
  IFS=$ocs_ifs
  [ "$#" -eq 5 ] || return 1
  ocs_v_url=${1#=} ocs_v_pid=${2#=} ocs_v_version=${3#=} ocs_v_username=${4#=} ocs_v_password=${5#=}
  ocs_look_at "$ocs_v_pid" || return 1
  ocs_v_start=$ocs_start
  # Only what a forward to 127.0.0.1 reaches.
  case $ocs_v_url in
    http://*) ocs_rest=${ocs_v_url#http://} ;;
    *)
      ocs_ignore "$1" 'its url is not http'
      return 1
      ;;
  esac
  ocs_rest=${ocs_rest%%[/?#]*}
  ocs_v_port=${ocs_rest##*:}
  case ${ocs_rest%:*} in
    127.0.0.1 | localhost | 0.0.0.0 | '[::]' | ::) ;;
    *)
      ocs_ignore "$1" 'its url is not on 127.0.0.1'
      return 1
      ;;
  esac
  case $ocs_v_port in
    '' | *[!0-9]* | ??????*)
      ocs_ignore "$1" 'its url has no port'
      return 1
      ;;
  esac
  ocs_listening "$ocs_v_port" 6
  case $ocs_listener in
    "$ocs_user" | '?') ;;
    '') return 1 ;;
    *)
      ocs_ignore "$1" 'its port is held by another user'
      return 1
      ;;
  esac
}

# A live server of OpenCode 2's own service, of this account.
ocs_find_service() {
  for ocs_place in ${1:+"$1"} "$ocs_base/opencode" "$HOME/.local/state/opencode"; do
    set +f
    for ocs_service_file in "$ocs_place"/service.json "$ocs_place"/service-*.json; do
      set -f
      ocs_read_service "$ocs_service_file" && return 0
    done
    set -f
  done
  return 1
}

# The members of a registration. $1: state. OpenCode 2 keeps its password in
# a file of its own.
ocs_registration() {
  ocs_kept_password=$ocs_r_password
  [ "$ocs_r_generation" = v1 ] || ocs_kept_password=''
  printf '{\n  "format": 1,\n  "id": "%s",\n  "state": "%s",\n  "generation": "%s",\n' \
    "$ocs_r_id" "$1" "$ocs_r_generation"
  printf '  "pid": %s,\n  "startTime": "%s",\n  "bootId": "%s",\n' "$ocs_r_pid" "$ocs_r_start" "$ocs_r_boot"
  printf '  "host": "%s",\n  "hostname": %s,\n  "url": "%s",\n  "port": %s,\n  "version": "%s",\n' \
    "$ocs_r_host" "$(ocs_json "$ocs_hostname")" "${ocs_r_url-}" "${ocs_r_port:-0}" "$ocs_r_version"
  ocs_print "  \"username\": \"$ocs_r_username\",
  \"password\": \"$ocs_kept_password\",
"
  printf '  "lifetime": "%s",\n  "startedAt": "%s",\n  "logFile": %s,\n  "service": %s,\n  "binary": %s\n}\n' \
    "$ocs_r_lifetime" "$ocs_r_at" "$(ocs_json "$ocs_log")" "$(ocs_json "${ocs_r_service-}")" \
    "$(ocs_json "${ocs_r_binary-}")"
}

# Writes ocs_r_* to ocs_r_file, at once or not at all. $1: state.
ocs_register() {
  ocs_part=$ocs_home/.server-$ocs_host+$$+$ocs_nonce
  ocs_said=$( (ocs_registration "$1" >"$ocs_part") 2>&1 && mv -f "$ocs_part" "$ocs_r_file" 2>&1) || {
    rm -f "$ocs_part"
    ocs_not_writable "$ocs_r_file" "$ocs_said"
  }
}

# Removes the registration of server $1, unless it is another's by now.
ocs_forget() {
  for ocs_candidate in "$ocs_home/server-$ocs_host.json" "$ocs_home/server.json"; do
    if ocs_read "$ocs_candidate" && [ "$ocs_r_id" = "$1" ] && [ "$ocs_r_host" = "$ocs_host" ]; then
      rm -f "$ocs_candidate"
    fi
  done
}

# The registration's file for a new server of this host: server.json, if it
# isn't another host's. A missing one is claimed by a hard link, which fails
# when another host is faster.
ocs_claim() {
  ocs_r_file=$ocs_home/server-$ocs_host.json
  [ ! -e "$ocs_r_file" ] || return 0
  ocs_claimed=$ocs_home/server.json
  if [ -e "$ocs_claimed" ] || [ -h "$ocs_claimed" ]; then
    ocs_check - "$ocs_claimed"
    if [ -z "$ocs_unsafe" ]; then
      # shellcheck disable=SC2046 # one word
      set -- $(ocs_members "$ocs_claimed" host)
      case ${1-} in
        = | "=$ocs_host") ;;
        *) return 0 ;;
      esac
    fi
  elif ln "$1" "$ocs_claimed" 2>/dev/null; then
    ocs_pending=$ocs_claimed
  elif [ -e "$ocs_claimed" ]; then
    return 0
  fi
  ocs_r_file=$ocs_claimed
}

# The server as the client gets it. $1: origin, $2: owner, $3: secret or not.
ocs_server() {
  printf '{"origin":"%s","owner":"%s","generation":"%s","pid":%s,"startTime":"%s","bootId":"%s","hostname":%s,' \
    "$1" "$2" "$ocs_r_generation" "$ocs_r_pid" "$ocs_r_start" "$ocs_r_boot" "$(ocs_json "$ocs_hostname")"
  printf '"port":%s,"version":"%s","lifetime":"%s","startedAt":"%s","username":"%s"' \
    "${ocs_r_port:-0}" "$ocs_r_version" "$ocs_r_lifetime" "$ocs_r_at" "$ocs_r_username"
  if [ "$3" = secret ] && [ -n "$ocs_r_password" ]; then
    ocs_print ",\"password\":\"$ocs_r_password\""
  fi
  if [ "$2" = ours ]; then
    printf ',"id":"%s","logFile":%s,"registration":%s' "$ocs_r_id" "$(ocs_json "$ocs_log")" "$(ocs_json "$ocs_r_file")"
  fi
  printf '}'
}

# OpenCode 2's own service in the same shape.
ocs_server_of_service() {
  ocs_r_generation=v2 ocs_r_pid=$ocs_v_pid ocs_r_start=$ocs_v_start ocs_r_boot=$ocs_boot ocs_r_port=$ocs_v_port
  ocs_r_version=$ocs_v_version ocs_r_lifetime=persistent ocs_r_at='' ocs_r_username=${ocs_v_username:-opencode}
  ocs_r_password=$ocs_v_password
  ocs_server reused opencode "$1"
}

# ---- the lock ---------------------------------------------------------------
#
# A symbolic link whose target names its owner: BOOT,PID,START,NONCE. Taking
# it is one atomic call. When its owner is dead, the right to it passes to
# whoever creates lock-HOST.NONCE of that owner (again atomic), and so on; a
# taker then walks the chain from its root once more and gives up what it made
# if that isn't the living end. Release removes the root first, so that a
# link made behind a chain that is just being removed never counts. Each host
# has its own lock: nobody can tell whether another host's owner lives.

ocs_owner() {
  ocs_text=$(ls -ld "$1" 2>/dev/null)
  case $ocs_text in
    l*' -> '*) ocs_text=${ocs_text##* -> } ;;
    *) ocs_text= ;;
  esac
}

# Walks the chain; sets ocs_end_path, and ocs_text to its owner ('': free).
ocs_walk() {
  ocs_end_path=$ocs_lock_root
  while :; do
    [ ! -e "$ocs_end_path" ] ||
      ocs_error RemoteNotWritable "\"path\":$(ocs_json "$ocs_end_path"),\"problem\":\"unsafe\""
    ocs_owner "$ocs_end_path"
    [ -n "$ocs_text" ] || return 0
    ocs_ifs=$IFS
    IFS=,
    # shellcheck disable=SC2086 # its parts
    set -- $ocs_text
    IFS=$ocs_ifs
    if [ "${1-}" = "$ocs_boot" ] && ocs_alive "${2-}" "${3-}"; then return 0; fi
    # A link that this script never makes.
    case ${4-},${2-} in
      ,* | *, | *[!0-9a-f,]*)
        ocs_error RemoteNotWritable "\"path\":$(ocs_json "$ocs_end_path"),\"problem\":\"unsafe\""
        ;;
    esac
    ocs_end_path=$ocs_lock_root+$4-$2
  done
}

ocs_try_lock() {
  ocs_mine=$ocs_boot,$$,$ocs_self,$ocs_nonce
  ocs_walk
  [ -z "$ocs_text" ] || return 1
  ocs_lock_path=$ocs_end_path
  ocs_said=$(ln -s "$ocs_mine" "$ocs_lock_path" 2>&1) || {
    ocs_owner "$ocs_lock_path"
    [ -n "$ocs_text" ] || ocs_lock_failed "$ocs_said"
    return 1
  }
  ocs_walk
  if [ "$ocs_text" = "$ocs_mine" ]; then
    ocs_locked=1
    return 0
  fi
  rm -f "$ocs_lock_path"
  return 1
}

# ln failed and nobody holds the lock: full, read-only or no symbolic links.
# It may also have been released in between, so three times in a row.
ocs_lock_failed() {
  ocs_failures=$((ocs_failures + 1))
  [ "$ocs_failures" -lt 3 ] || ocs_not_writable "$ocs_home" "$1"
}

ocs_unlock() {
  ocs_locked=''
  rm -f "$ocs_lock_root"
  set +f
  rm -f "$ocs_lock_root"+*
  set -f
}

# Waits for the lock. With $1 it also returns, without the lock, as soon as a
# server is ready.
ocs_lock() {
  ocs_lock_root=$ocs_home/lock-$ocs_host
  ocs_failures=0
  ocs_turn=0
  while ! ocs_try_lock; do
    if [ -n "$1" ] && ocs_find && [ "$ocs_found" = ready ]; then return 0; fi
    if ocs_late; then
      ocs_error StartTimedOut "\"waited\":$(((ocs_now - ocs_begin) * 1000)),\"log\":\"another client holds the lock and is starting a server\""
    fi
    ocs_pause
    # Many may wait: each looks less often as time goes on.
    [ "$ocs_turn" -lt 10 ] || ocs_pause
    [ "$ocs_turn" -lt 30 ] || ocs_pause
    ocs_turn=$((ocs_turn + 1))
  done
}

# ---- the login shell --------------------------------------------------------

ocs_quote() {
  printf "'"
  printf '%s' "$1" | sed "s/'/'\\\\''/g"
  printf "'"
}

ocs_detach() {
  if command -v setsid >/dev/null 2>&1; then
    setsid "$@"
  elif command -v perl >/dev/null 2>&1; then
    perl -e 'use POSIX (); POSIX::setsid(); exec { $ARGV[0] } @ARGV; exit 127' "$@"
  else
    "$@"
  fi
}

# Writes what the login shell executes.
ocs_write_launch() {
  ocs_said=$( (
    printf 'ocl_dir='
    ocs_quote "$ocs_dir"
    printf '\nocl_log='
    ocs_quote "$ocs_log"
    printf '\nocl_registration='
    ocs_quote "$ocs_r_file"
    printf '\nocl_sh=%s\nocl_op=%s\nocl_port=%s\nocl_limit=%s\nocl_proc=' \
      "$ocs_sh" "$1" "$ocs_port" "$((ocs_seconds * 20))"
    ocs_quote "$ocs_proc"
    printf "\nocl_ranges='%s'\nocl_names='%s'\nocl_username='%s'\n" "$ocs_ranges" "$ocs_names" "$ocs_username"
    printf '%s\n' "$ocs_launch"
  ) 2>&1 >"$ocs_dir/launch") || ocs_not_writable "$ocs_home" "$ocs_said"
  # A full disk may cut a file without a word.
  ocs_said=$(tail -n 1 "$ocs_dir/launch")
  case $ocs_launch in
    *"$ocs_said") [ -n "$ocs_said" ] || ocs_not_writable "$ocs_home" 'No space left' ;;
    *) ocs_not_writable "$ocs_home" 'No space left' ;;
  esac
}

# One attempt to get into the login shell's environment. The command is a list
# of words that means the same in every shell. It is -c's argument, and in
# another form the shell's stdin, so that it also reaches the shell that an rc
# file has put in the login shell's place by `exec zsh`.
ocs_shell_run() (
  umask "$ocs_umask"
  PATH=$ocs_path
  if [ -n "$ocs_locale_set" ]; then LC_ALL=$ocs_locale; else unset LC_ALL; fi
  trap - HUP INT TERM PIPE
  exec <"$ocs_dir/shell.in" >/dev/null 2>&1
  exec 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-
  OPENCODE_SSH_LAUNCH=$ocs_dir/launch
  export OPENCODE_SSH_LAUNCH
  cd "$HOME" || cd /
  case $ocs_shell_try,${ocs_name##*/} in
    # -l must be csh's only option.
    1,csh | 1,tcsh) set -- "$ocs_name" -l ;;
    1,*) set -- "$ocs_name" -l -i -c "$ocs_command" ;;
    2,csh | 2,tcsh) set -- "$ocs_name" -c "$ocs_command" ;;
    2,*) set -- "$ocs_name" -l -c "$ocs_command" ;;
    *) set -- "$ocs_sh" -c "$ocs_command" ;;
  esac
  # shellcheck disable=SC2016 # for that shell to expand
  ocs_detach "$ocs_sh" -c 'printf "%s\n" "$$" >"$0.pid" || exit 0; [ ! -e "$0.over" ] || exit 0; exec "$@"' \
    "$ocs_dir/shell.$ocs_shell_try" "$@"
  : >"$ocs_dir/shell.$ocs_shell_try.ended"
)

ocs_shell_start() {
  ocs_shell_try=$((ocs_shell_try + 1))
  ocs_name=${SHELL-}
  [ -x "$ocs_name" ] || ocs_name=$ocs_sh
  case $ocs_shell_try,${ocs_name##*/} in
    1,csh | 1,tcsh) ocs_words=$ocs_command ;;
    *) ocs_words="${ocs_command#exec } replaced
exit" ;;
  esac
  ocs_said=$( (printf '%s\n' "$ocs_words" >"$ocs_dir/shell.in") 2>&1) || ocs_not_writable "$ocs_home" "$ocs_said"
  ocs_clock
  ocs_shell_until=$((ocs_now + ocs_shell_seconds + 1))
  ocs_shell_run &
}

# Gives up the login shell of this start: ends it with its group, or keeps it
# from beginning.
ocs_shell_end() {
  if [ -z "$ocs_dir" ] || [ "$ocs_shell_try" -eq 0 ]; then return 0; fi
  : >"$ocs_dir/shell.$ocs_shell_try.over"
  [ -f "$ocs_dir/shell.$ocs_shell_try.pid" ] || return 0
  IFS= read -r ocs_shell_pid <"$ocs_dir/shell.$ocs_shell_try.pid" || return 0
  if ocs_look_at "$ocs_shell_pid"; then
    if [ "$ocs_group" = "$ocs_shell_pid" ]; then
      kill -s KILL -- "-$ocs_shell_pid" 2>/dev/null
    else
      kill -s KILL "$ocs_shell_pid" 2>/dev/null
    fi
  fi
}

# Waits until the launcher works in some environment: the login shell's as an
# interactive one (people put PATH into .bashrc and .zshrc), else as a plain
# login shell, else the one of this session.
ocs_enter() {
  # shellcheck disable=SC2016 # for that shell to expand
  ocs_command="exec $ocs_sh -c '. \"\$OPENCODE_SSH_LAUNCH\"'"
  ocs_write_launch "$1"
  ocs_shell_try=0
  while [ "$ocs_shell_try" -lt 3 ]; do
    ocs_shell_start
    while :; do
      [ ! -d "$ocs_dir/arrived" ] || return 0
      if [ -e "$ocs_dir/shell.$ocs_shell_try.ended" ]; then
        [ ! -d "$ocs_dir/arrived" ] || return 0
        break
      fi
      ocs_clock
      [ "$ocs_now" -lt "$ocs_shell_until" ] || break
      ocs_pause
    done
    ocs_shell_end
  done
  ocs_error UnsupportedRemote "\"detail\":\"no shell there executes $ocs_sh\""
}

# ---- start ------------------------------------------------------------------

# Removes what a client left that died while starting a server; the lock is
# held. Renamed first: from then on its launcher can start and register nothing.
ocs_sweep() {
  set +f
  for ocs_left in "$ocs_home/start-$ocs_host"+*; do
    [ ! -d "$ocs_left" ] || mv "$ocs_left" "$ocs_home/.swept-$ocs_host+${ocs_left##*/}"
  done
  rm -rf "$ocs_home/.swept-$ocs_host"+* "$ocs_home/.server-$ocs_host"+*
  set -f
  ocs_other_leases || :
}

# A private directory for this start.
ocs_make_dir() {
  ocs_dir=$ocs_home/start-$ocs_host+$$+$ocs_nonce
  ocs_said=$(mkdir "$ocs_dir" 2>&1) || {
    ocs_dir=''
    ocs_not_writable "$ocs_home" "$ocs_said"
  }
}

ocs_file_value() {
  ocs_value=''
  if [ -f "$1" ]; then IFS= read -r ocs_value <"$1"; fi
}

# What the launcher found, before the version is judged.
ocs_report_found() {
  ocs_r_binary=$(cat "$ocs_dir/path" 2>/dev/null)
  ocs_file_value "$ocs_dir/version"
  ocs_r_version=$ocs_value
  ocs_say found "{\"path\":$(ocs_json "$ocs_r_binary"),\"version\":\"$ocs_r_version\",\"searched\":$(ocs_array "$ocs_dir/searched")}"
}

# Ends with the error behind the launcher's word.
ocs_launch_failed() {
  ocs_file_value "$ocs_dir/failed"
  ocs_kind=$ocs_value
  case $ocs_kind in
    notfound) ocs_error OpencodeNotFound "\"searched\":$(ocs_array "$ocs_dir/searched")" ;;
  esac
  ocs_report_found
  case $ocs_kind in
    unsupported) ocs_error UnsupportedVersion "\"found\":\"$ocs_r_version\",\"path\":$(ocs_json "$ocs_r_binary")" ;;
    crash) ocs_judge "$ocs_dir/detail" ;;
  esac
  ocs_error OpencodeUnusable \
    "\"path\":$(ocs_json "$ocs_r_binary"),\"problem\":\"$ocs_kind\",\"detail\":$(ocs_tail "$ocs_dir/detail")"
}

# Ends with the error that the last words of opencode ($1) name, if they do.
ocs_judge() {
  ocs_words=$(tail -c 8000 "$1" 2>/dev/null | tr -d '\000')
  case $ocs_words in
    *'onfiguration is invalid'* | *'onfig file at '*' is not valid'* | *ConfigInvalidError* | *ConfigJsonError*)
      ocs_error OpencodeUnusable \
        "\"path\":$(ocs_json "$ocs_r_binary"),\"problem\":\"configuration\",\"detail\":$(ocs_tail "$1")"
      ;;
    *ENOSPC* | *EDQUOT* | *'o space left on device'* | *'disk is full'* | *EROFS* | *'ead-only file system'* | \
      *EACCES*mkdir* | *EACCES*open* | *EPERM*mkdir* | *'unable to open database'*)
      ocs_not_writable "$HOME" "$ocs_words"
      ;;
  esac
}

# Ends with PortInUse if somebody listens where the server should.
ocs_refuse_port() {
  [ -n "$ocs_port" ] || return 0
  ocs_listening "$ocs_port" "$1"
  if [ -n "$ocs_listener" ] && [ -z "$ocs_blind" ]; then ocs_error PortInUse "\"port\":$ocs_port"; fi
}

# The server ended before it listened. $1: its exit code, '' if unknown.
ocs_exited() {
  # To forget it means to read registrations, and the one of a start names no program.
  ocs_ran=$ocs_r_binary
  ocs_forget "$ocs_r_id"
  ocs_r_binary=$ocs_ran
  ocs_refuse_port 6
  case $1 in
    125) ocs_not_writable "$ocs_home" "$(tail -c 2000 "$ocs_log")" ;;
  esac
  ocs_judge "$ocs_log"
  case $1 in
    126) ocs_kind=mode ;;
    132) ocs_kind=architecture ;;
    *) ocs_kind= ;;
  esac
  if [ -n "$ocs_kind" ]; then
    ocs_error OpencodeUnusable \
      "\"path\":$(ocs_json "$ocs_r_binary"),\"problem\":\"$ocs_kind\",\"detail\":$(ocs_tail "$ocs_log")"
  fi
  ocs_error ServerExited "${1:+\"exitCode\":$1,}\"log\":$(ocs_tail "$ocs_log")"
}

# The server lives but has not said where it listens. A persistent one stays,
# registered as "starting": the next attempt goes on waiting for it, so that a
# slow machine gets there.
ocs_timed_out() {
  if [ "$ocs_lifetime" = session ] && [ -n "$ocs_r_start" ]; then
    ocs_end "$ocs_r_pid" "$ocs_r_start"
    ocs_forget "$ocs_r_id"
  fi
  ocs_error StartTimedOut "\"waited\":$(((ocs_now - ocs_begin) * 1000)),\"log\":$(ocs_tail "$1")"
}

# Waits for the line "listening on http://…" of the server in ocs_r_* and
# registers it as ready.
ocs_await() {
  ocs_say step waiting
  while :; do
    ! ocs_told || break
    if ! ocs_alive "$ocs_r_pid" "$ocs_r_start"; then
      # Its parent needs a moment to write the exit code down.
      ocs_turn=0
      while [ -n "$ocs_dir" ] && [ ! -f "$ocs_dir/code" ] && [ "$ocs_turn" -lt 5 ]; do
        ocs_pause
        ocs_turn=$((ocs_turn + 1))
      done
      ocs_file_value "${ocs_dir:-$ocs_home/none}/code"
      ocs_exited "$ocs_value"
    fi
    ! ocs_late || ocs_timed_out "$ocs_log"
    ocs_pause
  done
  ocs_r_port=${ocs_r_url##*:}
  ocs_register ready
}

# Starts a server; the lock is held and nothing of ours is alive.
ocs_start_server() {
  ocs_refuse_port ''
  ocs_make_dir
  ocs_r_id=$ocs_nonce ocs_r_generation=v1 ocs_r_pid=0 ocs_r_start='' ocs_r_boot=$ocs_boot ocs_r_host=$ocs_host
  ocs_r_port=${ocs_port:-0} ocs_r_url='' ocs_r_version='' ocs_r_username=$ocs_username ocs_r_password=$ocs_password
  ocs_r_lifetime=$ocs_lifetime ocs_r_at=$(date -u +%Y-%m-%dT%H:%M:%SZ) ocs_r_service='' ocs_r_binary=''
  ocs_said=$( (ocs_registration starting >"$ocs_dir/registration") 2>&1) || ocs_not_writable "$ocs_home" "$ocs_said"
  [ -s "$ocs_dir/registration" ] || ocs_not_writable "$ocs_home" 'No space left'
  ocs_said=$(
    {
      [ ! -e "$ocs_log" ] || mv -f "$ocs_log" "$ocs_log.1"
      : >"$ocs_log"
    } 2>&1
  ) || ocs_not_writable "$ocs_log" "$ocs_said"
  ocs_claim "$ocs_dir/registration"
  ocs_enter start
  while [ ! -f "$ocs_dir/found" ]; do
    [ ! -f "$ocs_dir/failed" ] || ocs_launch_failed
    if [ -e "$ocs_dir/shell.$ocs_shell_try.ended" ] && [ ! -f "$ocs_dir/found" ] && [ ! -f "$ocs_dir/failed" ]; then
      ocs_report_found
      ocs_error OpencodeUnusable \
        "\"path\":$(ocs_json "$ocs_r_binary"),\"problem\":\"crash\",\"detail\":$(ocs_tail "$ocs_dir/detail")"
    fi
    ! ocs_late || ocs_timed_out "$ocs_dir/detail"
    ocs_pause
  done
  ocs_report_found
  ocs_say step starting
  ocs_file_value "$ocs_dir/found"
  ocs_r_generation=$ocs_value
  if [ "$ocs_r_generation" = v2 ]; then
    ocs_await_service
    return
  fi
  while [ ! -f "$ocs_dir/server" ]; do
    if [ -f "$ocs_dir/code" ]; then
      ocs_file_value "$ocs_dir/code"
      ocs_exited "$ocs_value"
    fi
    ! ocs_late || ocs_timed_out "$ocs_log"
    ocs_pause
  done
  ocs_pending=''
  ocs_file_value "$ocs_dir/server"
  ocs_r_pid=${ocs_value%% *}
  ocs_r_start=${ocs_value#* }
  ocs_await
}

# OpenCode 2: `service start` returns when its server is up and registered.
ocs_await_service() {
  ocs_say step waiting
  while [ ! -f "$ocs_dir/code" ]; do
    ! ocs_late || ocs_timed_out "$ocs_log"
    ocs_pause
  done
  ocs_file_value "$ocs_dir/code"
  ocs_code=$ocs_value
  ocs_file_value "$ocs_dir/home"
  if [ "$ocs_code" -eq 0 ] && ocs_find_service "$ocs_value"; then
    ocs_r_pid=$ocs_v_pid ocs_r_start=$ocs_v_start ocs_r_port=$ocs_v_port ocs_r_version=${ocs_v_version:-$ocs_r_version}
    ocs_r_username=${ocs_v_username:-opencode} ocs_r_service=$ocs_v_file
    ocs_r_url=http://127.0.0.1:$ocs_v_port
    ocs_r_password=$ocs_v_password
    ocs_register ready
    ocs_pending=''
    return
  fi
  ocs_taken=$(sed -n 's/.*port \([0-9][0-9]*\).*already in use.*/\1/p' "$ocs_log" | head -n 1)
  [ -z "$ocs_taken" ] || ocs_error PortInUse "\"port\":$ocs_taken"
  ocs_judge "$ocs_log"
  ocs_error ServerExited "\"exitCode\":$ocs_code,\"log\":$(ocs_tail "$ocs_log")"
}

# ---- lifetime "session" -----------------------------------------------------

ocs_take_lease() {
  ocs_lease=$ocs_home/lease-$ocs_host+$$+$ocs_self
  : >"$ocs_lease"
}

# Another client with lifetime "session" that still uses the server.
ocs_other_leases() {
  set +f
  for ocs_other in "$ocs_home/lease-$ocs_host"+*; do
    set -f
    [ -e "$ocs_other" ] || continue
    [ "$ocs_other" != "$ocs_lease" ] || continue
    ocs_rest=${ocs_other#"$ocs_home/lease-$ocs_host+"}
    if ocs_alive "${ocs_rest%%+*}" "${ocs_rest#*+}"; then return 0; fi
    rm -f "$ocs_other"
  done
  set -f
  return 1
}

# Ends the server with its last session, unless somebody made it persistent.
ocs_release() {
  ocs_clock
  ocs_deadline=$((ocs_now + ocs_seconds))
  [ -n "$ocs_locked" ] || ocs_lock ''
  if ! ocs_other_leases && ocs_find && [ "$ocs_r_id" = "$ocs_held" ] && [ "$ocs_r_lifetime" = session ]; then
    ocs_stop_found
  fi
  ocs_cleanup
}

# Waits for the end of stdin. The wait is `wait`, so that a signal is heard.
ocs_hold() {
  cat <&3 >/dev/null 2>&1 &
  ocs_watch=$!
  wait "$ocs_watch"
  ocs_release
  exit 0
}

# ---- actions ----------------------------------------------------------------

# Ends the server that ocs_find found; the lock is held.
ocs_stop_found() {
  ocs_stopped=$ocs_r_id
  if [ "$ocs_r_generation" = v2 ] && [ -n "$ocs_r_binary" ]; then
    ocs_stop_pid=$ocs_r_pid ocs_stop_start=$ocs_r_start
    ocs_make_dir
    LC_ALL=C printf '%s\n' "$ocs_r_binary" >"$ocs_dir/binary"
    ocs_enter stop
    while [ ! -f "$ocs_dir/code" ] && [ ! -e "$ocs_dir/shell.$ocs_shell_try.ended" ] && ! ocs_late; do ocs_pause; done
    ocs_shell_end
    rm -rf "$ocs_dir"
    ocs_dir=''
    ocs_end "$ocs_stop_pid" "$ocs_stop_start"
  else
    ocs_end "$ocs_r_pid" "$ocs_r_start"
  fi
  ocs_forget "$ocs_stopped"
}

ocs_do_ensure() {
  ocs_say step looking
  # With lifetime session, whatever ends this session ends the server.
  [ "$ocs_lifetime" = persistent ] || ocs_held=$ocs_nonce
  if ! ocs_find || [ "$ocs_found" != ready ]; then
    # Never a second server beside the one of OpenCode's own service.
    if ocs_find_service ''; then
      ocs_result "{\"server\":$(ocs_server_of_service secret),\"ignored\":[$ocs_ignored]}"
      ocs_leave
    fi
    ocs_make_home
    ocs_lock 1
    if [ -n "$ocs_locked" ]; then
      ocs_sweep
      if ocs_find; then
        case $ocs_found in
          starting) ocs_await ;;
          # It lives and nobody can reach it.
          deaf)
            ocs_stop_found
            ocs_found=''
            ;;
        esac
      fi
      if [ -z "$ocs_found" ]; then
        ocs_start_server
        ocs_found=started
      fi
    fi
  fi
  if [ "$ocs_lifetime" = session ] && [ "$ocs_r_lifetime" = session ]; then
    ocs_take_lease
    ocs_held=$ocs_r_id
  elif [ "$ocs_r_lifetime" = session ]; then
    # Somebody wants it to stay.
    [ -n "$ocs_locked" ] || ocs_lock ''
    if ocs_find && [ "$ocs_found" = ready ]; then
      ocs_r_lifetime=persistent
      ocs_r_url=http://127.0.0.1:$ocs_r_port
      ocs_register ready
    fi
  fi
  ocs_origin=reused
  [ "$ocs_found" != started ] || ocs_origin=started
  ocs_answer="{\"server\":$(ocs_server "$ocs_origin" ours secret),\"ignored\":[$ocs_ignored]}"
  ocs_done
  ocs_result "$ocs_answer"
  [ -z "$ocs_lease" ] || ocs_hold
  ocs_leave
}

# The live server, with its password only for $1 = secret.
ocs_looked() {
  if ocs_find && [ "$ocs_found" != starting ] && [ "$ocs_found" != deaf ]; then
    ocs_print "{\"server\":$(ocs_server reused ours "$1"),\"ignored\":[$ocs_ignored]}"
  elif ocs_find_service ''; then
    ocs_print "{\"server\":$(ocs_server_of_service "$1"),\"ignored\":[$ocs_ignored]}"
  else
    printf '{"server":null,"state":"%s","ignored":[%s]}' "$ocs_found" "$ocs_ignored"
  fi
}

# Ends with an error when another user listens on the port that would get the
# client's own password. Root can read everything anyway.
ocs_refuse_stranger() {
  [ -n "$ocs_port" ] || return 0
  ocs_listening "$ocs_port" 6
  case $ocs_listener in
    '' | '?' | 0 | "$ocs_user") ;;
    *)
      ocs_error NotOurs "\"detail\":\"another user (id $ocs_listener) listens on port $ocs_port and gets no password\""
      ;;
  esac
}

# look, and status without the password.
ocs_do_look() {
  ocs_answer=$(ocs_looked "$1")
  case $ocs_answer in
    '{"server":null'*) ocs_refuse_stranger ;;
  esac
  ocs_result "$ocs_answer"
  ocs_leave
}

ocs_do_stop() {
  if ! ocs_find; then
    if ocs_find_service ''; then
      ocs_error NotOurs "\"detail\":\"OpenCode's own service runs on port $ocs_v_port (process $ocs_v_pid); opencode service stop ends it\""
    fi
    if [ -n "$ocs_port" ]; then
      ocs_listening "$ocs_port"
      if [ -n "$ocs_listener" ] && [ -z "$ocs_blind" ]; then
        ocs_error NotOurs "\"detail\":\"what listens on port $ocs_port was not started by us\""
      fi
    fi
    ocs_error NotOurs "\"detail\":\"none is registered\""
  fi
  ocs_lock ''
  if ! ocs_find; then ocs_error NotOurs "\"detail\":\"it has just ended\""; fi
  if [ "$ocs_found" = starting ] && [ "$ocs_r_port" -eq 0 ]; then
    ocs_stop_found
    ocs_error NotOurs "\"detail\":\"one that had not begun to listen was ended\""
  fi
  ocs_stopping=$(ocs_server reused ours public)
  ocs_stop_found
  ocs_result "{\"stopped\":$ocs_stopping}"
  ocs_leave
}

ocs_do_log() {
  ocs_say step looking
  if [ ! -f "$ocs_log" ] || [ -h "$ocs_log" ]; then
    ocs_error NotOurs "\"detail\":\"no server was ever started there by us\""
  fi
  exec 4<"$ocs_log"
  # tail leaves the place where the next read goes on.
  tail -n "$ocs_lines" <&4 2>/dev/null | ocs_lines_out
  if [ "$ocs_follow" = 1 ]; then
    ocs_follow_log &
    ocs_follower=$!
    cat <&3 >/dev/null 2>&1
    kill "$ocs_follower" 2>/dev/null
    exit 0
  fi
  ocs_result "{\"log\":{\"path\":$(ocs_json "$ocs_log")}}"
  ocs_leave
}

ocs_lines_out() {
  while IFS= read -r ocs_line || [ -n "$ocs_line" ]; do
    ocs_say log "$ocs_line"
    ocs_line=''
  done
}

# What is added to the log from now on, and the log of a server that is
# started later. A line is shown when it is complete.
ocs_follow_log() {
  trap - HUP INT TERM PIPE
  exec 3<&-
  ocs_part=''
  ocs_inode=$(ls -i "$ocs_log" 2>/dev/null)
  while :; do
    while IFS= read -r ocs_line <&4; do
      ocs_say log "$ocs_part$ocs_line"
      ocs_part=''
    done
    ocs_part=$ocs_part$ocs_line
    ocs_now_inode=$(ls -i "$ocs_log" 2>/dev/null)
    if [ -n "$ocs_now_inode" ] && [ "$ocs_now_inode" != "$ocs_inode" ]; then
      ocs_inode=$ocs_now_inode
      exec 4<"$ocs_log"
    fi
    ocs_pause
  done
}

ocs_main() {
  # An rc file may have put zsh in our place.
  [ -z "${ZSH_VERSION-}" ] || emulate sh
  exec 3<&0
  ocs_setup
  case $ocs_action in
    ensure) ocs_do_ensure ;;
    look) ocs_do_look secret ;;
    status) ocs_do_look public ;;
    stop) ocs_do_stop ;;
    log) ocs_do_log ;;
    # In opencode-doctor.sh.
    doctor) ocs_do_doctor ;;
  esac
  ocs_error UnsupportedRemote "\"detail\":\"unknown action\""
}

# shellcheck disable=SC2317 # never run before the last line has arrived
{ ocs_main; exit; }
