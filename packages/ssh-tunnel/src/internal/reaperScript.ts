/**
 * The reaper's program. It runs in a session of its own, so no signal meant
 * for the host process reaches it, and it ignores those that do. Its stdin is
 * a pipe from the host: `+ pgid` adds a group, `- pgid` takes it off, each is
 * answered with the pgid. At the end of stdin, however the host died, the
 * groups left are ended (SIGTERM, after `$2` seconds SIGKILL) and the runtime
 * directory (`$1`) is removed. A `sleep` without fractions fails at once, hence
 * the second one.
 */
export const reaperScript = `trap '' HUP INT QUIT TERM PIPE USR1 USR2 TSTP
groups=' '
while IFS=' ' read -r op pgid; do
  case $pgid in '' | *[!0-9]*) continue ;; esac
  case $op in
  +) groups="$groups$pgid " ;;
  -) case $groups in *" $pgid "*) groups="\${groups%%" $pgid "*} \${groups#*" $pgid "}" ;; esac ;;
  esac
  echo "$pgid"
done
[ "$groups" = ' ' ] && exit 0
for pgid in $groups; do kill -TERM -"$pgid"; done 2>/dev/null
sleep "$2" 2>/dev/null || sleep 1
for pgid in $groups; do kill -KILL -"$pgid"; done 2>/dev/null
case $1 in */opencode-ssh-run-*) rm -rf -- "$1" ;; esac
exit 0
`
