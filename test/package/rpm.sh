# Runs inside of a booted system where the .rpm was just installed.
. /root/checks.sh

systemctl enable mdmd >/dev/null 2>&1 # which presets decide
unconfigured_starts_nothing
starts_sandboxed
exit $failed
