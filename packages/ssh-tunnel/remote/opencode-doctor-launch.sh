# The part of `doctor` that must see the user's own environment. The client
# puts it before the last line of opencode-launch.sh, whose search and whose
# question for the version it uses; here every file that the search finds is
# asked, all at once.
#
# It answers by files in ocl_dir: searched; candidateN/path, executable (it may
# be executed), and version and generation, or failed and detail; examined when
# all have answered.

# Shared with opencode-ssh.sh and opencode-launch.sh:
# shellcheck shell=sh disable=SC2154,SC2034

# Nobody has more of them, and each takes some 150 MB while it is asked.
ocl_most=6

# In the place of the function of opencode-launch.sh: no file ends the search.
# shellcheck disable=SC2317 # by ocl_try
ocl_take() {
  [ "$ocl_count" -lt "$ocl_most" ] || return 1
  ocl_count=$((ocl_count + 1))
  mkdir "$ocl_dir/candidate$ocl_count" || return 1
  ocl_put "candidate$ocl_count/path" "$1"
  [ -x "$1" ] || return 1
  ocl_put "candidate$ocl_count/executable" ''
  ocl_candidate "$1" "$ocl_dir/candidate$ocl_count" &
  return 1
}

# Its HOME, because `opencode --version` creates directories there. What a
# version manager behind a shim needs stays where it is.
# shellcheck disable=SC2317 # by ocl_take
ocl_candidate() {
  ocl_bin=$1
  ocl_dir=$2
  MISE_DATA_DIR=${MISE_DATA_DIR:-${XDG_DATA_HOME:-$HOME/.local/share}/mise}
  MISE_CONFIG_DIR=${MISE_CONFIG_DIR:-${XDG_CONFIG_HOME:-$HOME/.config}/mise}
  ASDF_DATA_DIR=${ASDF_DATA_DIR:-$HOME/.asdf}
  NODENV_ROOT=${NODENV_ROOT:-$HOME/.nodenv}
  VOLTA_HOME=${VOLTA_HOME:-$HOME/.volta}
  NVM_DIR=${NVM_DIR:-$HOME/.nvm}
  HOME=$ocl_dir/home
  TMPDIR=$HOME/tmp
  XDG_CACHE_HOME=$HOME/cache
  XDG_CONFIG_HOME=$HOME/config
  XDG_DATA_HOME=$HOME/data
  XDG_STATE_HOME=$HOME/state
  XDG_RUNTIME_DIR=$HOME/run
  export MISE_DATA_DIR MISE_CONFIG_DIR ASDF_DATA_DIR NODENV_ROOT VOLTA_HOME NVM_DIR \
    HOME TMPDIR XDG_CACHE_HOME XDG_CONFIG_HOME XDG_DATA_HOME XDG_STATE_HOME XDG_RUNTIME_DIR
  mkdir "$HOME" "$TMPDIR" "$XDG_RUNTIME_DIR" || exit 0
  # No file of a crash in the real HOME, where it runs as a server would.
  # shellcheck disable=SC3045 # most shells have it
  ulimit -c 0 2>/dev/null
  ocl_ask
  ocl_put generation "$ocl_generation"
  exit 0
}

# shellcheck disable=SC2317 # by ocl_main
ocl_examine() {
  # A login shell that was given up may arrive late: the first one works.
  mkdir "$ocl_dir/arrived" 2>/dev/null || exit 0
  umask 077
  cd "$HOME" 2>/dev/null || cd /
  ocl_outside=''
  ocl_low=''
  ocl_count=0
  ocl_search
  wait
  ocl_put examined ''
  exit 0
}
