/**
 * The reaper's program. It runs in a session of its own, so no signal meant
 * for the host process reaches it, and it ignores those that do. Its stdin is
 * a pipe from the host: `+ N pgid` adds a group, `- N pgid` takes it off,
 * `@ N directory` names the runtime directory (at first `$1`); each is
 * answered with N. At the end of stdin, however the host died, the groups left
 * are ended (SIGTERM, after `$2` seconds SIGKILL) and the runtime directory is
 * removed. A `sleep` without fractions fails at once, hence the second one.
 *
 * A group is kept with its leader's start time (proc(5), elsewhere ps(1)). One
 * whose number belongs to a later process by then is a stranger's; one whose
 * leader is gone is ours, because the system gives no number away that a group
 * still has. `$3` is proc(5)'s place.
 */
export const reaperScript = `trap '' HUP INT QUIT TERM PIPE USR1 USR2 TSTP
set -f
directory=$1
proc=\${3:-/proc}
groups=' '
started() {
  start=
  if [ -r "$proc/self/stat" ]; then
    { IFS= read -r stat <"$proc/$1/stat"; } 2>/dev/null || return 0
    set -- \${stat##*) }
    start=\${20}
  else
    start=$(LC_ALL=C ps -o lstart= -p "$1" 2>/dev/null | tr ' ' _)
  fi
}
end() {
  for group in $groups; do
    started "\${group%%:*}"
    case $start,\${group#*:} in
    ,* | *, | "\${group#*:},$start") kill -"$1" -"\${group%%:*}" ;;
    esac
  done 2>/dev/null
}
while IFS=' ' read -r op id word; do
  case $op$word in
  @*) directory=$word ;;
  [+-]*[!0-9]* | [+-]) continue ;;
  [+-]*)
    case $groups in *" $word:"*)
      rest=\${groups#*" $word:"}
      groups="\${groups%%" $word:"*} \${rest#* }"
    esac
    case $op in +)
      started "$word"
      groups="$groups$word:$start "
    esac
    ;;
  *) continue ;;
  esac
  echo "$id"
done
if [ "$groups" != ' ' ]; then
  end TERM
  sleep "$2" 2>/dev/null || sleep 1
  end KILL
fi
case $directory in */opencode-ssh-run-*) rm -rf -- "$directory" ;; esac
exit 0
`
