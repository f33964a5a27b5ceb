# The part of bootstrap that must see the user's own environment: it runs
# inside the login shell's environment (PATH, API keys, toolchains), finds the
# binary there, asks its version and becomes the server.
#
# opencode-ssh.sh writes it to a file of its private directory, with these
# assignments in front, and lets the login shell execute it:
#   ocl_dir ocl_sh ocl_op ocl_port ocl_ranges ocl_names ocl_username
#   ocl_registration ocl_log ocl_limit ocl_proc
# It answers by files in ocl_dir; a name appears only when its content is
# complete. It never sees stdin, stdout or stderr of the ssh session, and no
# secret but the one in the draft of the registration (0600, 0700 directory).

# Assigned by opencode-ssh.sh:
# shellcheck shell=sh disable=SC2154

ocl_put() {
  printf '%s\n' "$2" >"$ocl_dir/$1.part" && mv -f "$ocl_dir/$1.part" "$ocl_dir/$1"
}

ocl_fail() {
  ocl_put failed "$1"
  exit 0
}

# One place where the binary may be. Relative PATH entries are not tried: they
# would depend on the directory we happen to be in.
ocl_try() {
  case $1 in
    /*) ;;
    *) return 1 ;;
  esac
  case $ocl_seen in
    *"
$1
"*) return 1 ;;
  esac
  ocl_seen="$ocl_seen$1
"
  printf '%s\n' "$1" >>"$ocl_dir/searched"
  [ -f "$1" ] && ocl_take "$1"
}

# The first file that may be executed ends the search.
ocl_take() {
  if [ -x "$1" ]; then
    ocl_bin=$1
    return 0
  fi
  [ -n "$ocl_closed" ] || ocl_closed=$1
  return 1
}

ocl_search() {
  ocl_seen="
"
  ocl_bin=''
  ocl_closed=''
  : >"$ocl_dir/searched"
  ocl_rest=${PATH-}:
  while [ -n "$ocl_rest" ]; do
    ocl_entry=${ocl_rest%%:*}
    ocl_rest=${ocl_rest#*:}
    [ -z "$ocl_entry" ] || ! ocl_try "${ocl_entry%/}/opencode" || return 0
  done
  ocl_outside=1
  for ocl_entry in \
    "${OPENCODE_INSTALL_DIR-}" \
    "${XDG_BIN_DIR-}" \
    "$HOME/.opencode/bin" \
    "$HOME/.local/bin" \
    "$HOME/bin" \
    "$HOME/.bun/bin" \
    /opt/homebrew/bin \
    /usr/local/bin \
    /home/linuxbrew/.linuxbrew/bin \
    "$HOME/.linuxbrew/bin" \
    "$HOME/.npm-global/bin" \
    "$HOME/.npm/bin" \
    "$HOME/.local/share/pnpm" \
    "$HOME/.yarn/bin" \
    "$HOME/.volta/bin" \
    "$HOME/.local/share/mise/shims" \
    "$HOME/.asdf/shims" \
    "$HOME/.nodenv/shims" \
    "$HOME/n/bin" \
    "$HOME/.nix-profile/bin" \
    /nix/var/nix/profiles/default/bin \
    /run/current-system/sw/bin \
    /snap/bin \
    /usr/bin; do
    [ -z "$ocl_entry" ] || ! ocl_try "$ocl_entry/opencode" || return 0
  done
  # Version managers keep one directory per version: the one used last wins.
  set +f
  ocl_found=$(ls -1dt "$HOME"/.nvm/versions/node/*/bin/opencode \
    "${NVM_DIR:-$HOME/.nvm}"/versions/node/*/bin/opencode \
    "$HOME"/.local/share/fnm/node-versions/*/installation/bin/opencode \
    "$HOME"/.fnm/node-versions/*/installation/bin/opencode \
    "$HOME"/.local/share/mise/installs/node/*/bin/opencode \
    "$HOME"/.asdf/installs/nodejs/*/bin/opencode 2>/dev/null)
  set -f
  ocl_ifs=$IFS
  IFS='
'
  for ocl_entry in $ocl_found; do
    IFS=$ocl_ifs
    ocl_try "$ocl_entry" && return 0
  done
  IFS=$ocl_ifs
  return 1
}

# An ELF file of another machine is refused here, because a shell that gets
# ENOEXEC for it would run its bytes as a script.
ocl_foreign() {
  ocl_machine=$(dd if="$1" bs=20 count=1 2>/dev/null | od -An -v -tx1 2>/dev/null | tr -d ' \n')
  case $ocl_machine in
    7f454c46*) ;;
    *) return 1 ;;
  esac
  ocl_low=${ocl_machine#????????????????????????????????????}
  case $(uname -m 2>/dev/null)/$ocl_low in
    x86_64/3e00 | amd64/3e00 | aarch64/b700 | arm64/b700 | i?86/0300 | x86_64/0300 | amd64/0300) return 1 ;;
    */3e00) ocl_machine=x86_64 ;;
    */b700) ocl_machine=aarch64 ;;
    */0300) ocl_machine=i386 ;;
    *) return 1 ;;
  esac
  printf 'built for %s, this machine is %s\n' "$ocl_machine" "$(uname -m)" >"$ocl_dir/detail"
  return 0
}

# ocl_names are versions that are allowed by their very name, pre-releases
# and "local" among them; ocl_ranges are half-open intervals of releases,
# "min:max,min:" (empty max: no upper end), which the client made from the
# user's range.
ocl_supported() {
  case ,$ocl_names, in
    *",$1,"*) return 0 ;;
  esac
  LC_ALL=C awk -v version="$1" -v ranges="$ocl_ranges" '
    function compare(a, b,   i, x, y) {
      split(a, x, "."); split(b, y, ".")
      for (i = 1; i <= 3; i++) if (x[i] + 0 != y[i] + 0) return x[i] + 0 < y[i] + 0 ? -1 : 1
      return 0
    }
    BEGIN {
      sub(/\+[0-9A-Za-z.-]+$/, "", version)
      if (version !~ /^[0-9]+\.[0-9]+\.[0-9]+$/) exit 1
      # awk would round a longer number.
      if (version ~ /[0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9]/) exit 1
      count = split(ranges, list, ",")
      for (k = 1; k <= count; k++) {
        split(list[k], ends, ":")
        if (compare(version, ends[1]) >= 0 && (ends[2] == "" || compare(version, ends[2]) < 0)) exit 0
      }
      exit 1
    }' </dev/null
}

# What a program says that could not run, by its exit code and last words.
ocl_diagnose() {
  case $1 in
    126)
      if grep -i -e 'exec format' -e 'bad cpu' -e 'cannot execute' "$ocl_dir/detail" >/dev/null 2>&1; then
        ocl_fail architecture
      fi
      ocl_fail mode
      ;;
    132) ocl_fail architecture ;;
    127)
      # The file is there, so what is missing is its loader: another libc.
      case $ocl_low in
        '') ocl_fail crash ;;
        *) ocl_fail architecture ;;
      esac
      ;;
    *) ocl_fail crash ;;
  esac
}

# Becomes the command, in a session of its own where that is possible.
ocl_detached() {
  if command -v setsid >/dev/null 2>&1; then
    exec setsid "$@"
  elif command -v perl >/dev/null 2>&1; then
    exec perl -e 'use POSIX (); POSIX::setsid(); exec { $ARGV[0] } @ARGV; exit 127' "$@"
  fi
  exec "$@"
}

ocl_pause() {
  sleep 0.1 2>/dev/null || sleep 1
}

ocl_find() {
  # A login shell that was given up may arrive late: the first one works.
  mkdir "$ocl_dir/arrived" 2>/dev/null || exit 0
  cd "$HOME" 2>/dev/null || cd /
  ocl_outside=''
  ocl_low=''
  if [ "$ocl_op" = stop ]; then
    ocl_bin=$(cat "$ocl_dir/binary")
    "$ocl_bin" service stop </dev/null >"$ocl_dir/service.out" 2>&1
    ocl_put code "$?"
    exit 0
  fi
  if ! ocl_search; then
    [ -n "$ocl_closed" ] || ocl_fail notfound
    ocl_put path "$ocl_closed"
    printf 'no execute permission\n' >"$ocl_dir/detail"
    ocl_fail mode
  fi
  ocl_put path "$ocl_bin"
  ocl_ask
  ocl_supported "$ocl_version" || ocl_fail unsupported
  ocl_put found "$ocl_generation"
  if [ "$ocl_generation" = v2 ]; then
    ocl_service
  else
    ocl_start
  fi
}

# Asks ocl_bin for its version: sets ocl_version and ocl_generation, or ends
# with why it does not run.
ocl_ask() {
  # A wrapper that lies beside its own node, outside PATH, needs that node.
  if [ -n "$ocl_outside" ]; then
    PATH=${PATH:+$PATH:}${ocl_bin%/*}
    export PATH
  fi
  ocl_foreign "$ocl_bin" && ocl_fail architecture
  "$ocl_bin" --version </dev/null >"$ocl_dir/version.out" 2>"$ocl_dir/detail"
  ocl_code=$?
  if [ "$ocl_code" -ne 0 ]; then
    cat "$ocl_dir/version.out" >>"$ocl_dir/detail"
    ocl_diagnose "$ocl_code"
  fi
  # "1.18.33" is OpenCode 1, "opencode v2.0.3" is OpenCode 2.
  ocl_text=$(LC_ALL=C sed -n '/[^[:space:]]/p' "$ocl_dir/version.out" | tail -n 1 | LC_ALL=C tr -d '\r')
  ocl_version=${ocl_text##* }
  ocl_version=${ocl_version#v}
  case $ocl_version in
    '' | *[!0-9A-Za-z.+_-]*)
      cat "$ocl_dir/version.out" >>"$ocl_dir/detail"
      ocl_fail crash
      ;;
  esac
  ocl_generation=v1
  case $ocl_text in
    *' v'*) ocl_generation=v2 ;;
    *) case ${ocl_version%%.*} in
      '' | *[!0-9]* | 0 | 1) ;;
      *) ocl_generation=v2 ;;
    esac ;;
  esac
  ocl_put version "$ocl_version"
}

# OpenCode 2 runs, registers and guards its server itself.
ocl_service() {
  "$ocl_bin" service start </dev/null >"$ocl_dir/service.out" 2>"$ocl_dir/service.err"
  ocl_code=$?
  cat "$ocl_dir/service.out" "$ocl_dir/service.err" >>"$ocl_log"
  ocl_base=${XDG_STATE_HOME-}
  case $ocl_base in
    /*) ;;
    *) ocl_base=$HOME/.local/state ;;
  esac
  ocl_put home "$ocl_base/opencode"
  ocl_put code "$ocl_code"
  exit 0
}

# The server is the process of "launch serve": it registers itself before it
# becomes opencode, so that no moment exists in which it runs unregistered.
# This process stays until bootstrap is done, to learn the exit code.
ocl_start() {
  export ocl_bin ocl_version
  ocl_detached "$ocl_sh" "$ocl_dir/launch" serve </dev/null >>"$ocl_log" 2>&1 &
  ocl_server=$!
  ocl_turns=0
  while [ -d "$ocl_dir" ] && [ "$ocl_turns" -lt "$ocl_limit" ]; do
    if ! kill -0 "$ocl_server" 2>/dev/null; then
      wait "$ocl_server"
      ocl_code=$?
      [ -d "$ocl_dir" ] && ocl_put code "$ocl_code"
      exit 0
    fi
    ocl_pause
    ocl_turns=$((ocl_turns + 1))
  done
  exit 0
}

# Start time of this process as opencode-ssh.sh reads it: exec keeps it.
ocl_started() {
  if IFS= read -r ocl_stat 2>/dev/null <"$ocl_proc/$$/stat"; then
    # shellcheck disable=SC2086 # the fields behind the program's name
    set -- ${ocl_stat##*\) }
    printf '%s' "${20}"
  else
    # shellcheck disable=SC2046 # the words of the date
    set -- $(LC_ALL=C TZ=UTC0 ps -o lstart= -p $$ 2>/dev/null)
    printf '%s' "$*" | tr ' ' _
  fi
}

ocl_serve() {
  ocl_time=$(ocl_started)
  ocl_draft=$ocl_dir/registration
  OPENCODE_SERVER_PASSWORD=$(sed -n 's/^  "password": "\([A-Za-z0-9_-]*\)",$/\1/p' "$ocl_draft")
  OPENCODE_SERVER_USERNAME=$ocl_username
  (
    umask 077
    sed -e "s/^  \"pid\": 0,\$/  \"pid\": $$,/" \
      -e "s/^  \"startTime\": \"\",\$/  \"startTime\": \"$ocl_time\",/" \
      -e "s/^  \"version\": \"\",\$/  \"version\": \"$ocl_version\",/" "$ocl_draft" >"$ocl_dir/registered" &&
      mv -f "$ocl_dir/registered" "$ocl_registration"
  ) || exit 125
  ocl_put server "$$ $ocl_time"
  ocl_run=$ocl_bin
  ocl_at=${ocl_port:-0}
  unset OPENCODE_SSH_LAUNCH ocl_bin ocl_version
  export OPENCODE_SERVER_PASSWORD OPENCODE_SERVER_USERNAME
  exec 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-
  exec "$ocl_run" serve --hostname 127.0.0.1 --port "$ocl_at"
}

# An rc file has put another shell in the place of the login shell, and that
# one reads us from its stdin, so it is not interactive: make it so, because
# people put PATH into .zshrc.
ocl_become() {
  if [ ! -r "$ocl_proc/$PPID/comm" ] || ! IFS= read -r ocl_name <"$ocl_proc/$PPID/comm"; then
    ocl_name=$(ps -o comm= -p "$PPID" 2>/dev/null)
  fi
  ocl_name=${ocl_name##*/}
  case ${ocl_name#-} in
    bash | zsh | fish | ksh | mksh)
      # shellcheck disable=SC2093 # it does not come back
      exec "${ocl_name#-}" -i -c "exec $ocl_sh -c '. \"\$OPENCODE_SSH_LAUNCH\"'"
      ;;
  esac
}

ocl_main() {
  set +e +u +C +x +v
  set -f
  unset CDPATH
  IFS=' 	
'
  HOME=${HOME:-/}
  case ${1-},$0 in
    serve,*) ocl_serve ;;
    *,replaced) ocl_become ;;
  esac
  # In opencode-doctor-launch.sh.
  [ "$ocl_op" != doctor ] || ocl_examine
  ocl_find
}

# shellcheck disable=SC2317 # never run before the last line is there
{ ocl_main "$@"; exit; }
