# Runs inside of a booted Debian where the .deb was just installed.
. /root/checks.sh

unconfigured_starts_nothing
starts_sandboxed

# Reload
before=$(pid)
check "reload is done when it returns" systemctl reload mdmd
check "and takes the configuration" logged "configuration taken"
check "in the same process" test "$before" = "$(pid)"
kill -STOP "$before"
systemctl reload mdmd &
reload=$!
sleep 1
check "reload is not done before a slow daemon has" kill -0 $reload
kill -CONT "$before"
check "and then is" wait $reload
echo "nonsense: 1" >>/etc/mdmd/config.yaml
check "a wrong configuration is refused" systemctl reload mdmd
check "and told of" logged "configuration not taken"
check "and served on" served
sed -i '/^nonsense/d' /etc/mdmd/config.yaml

# Restart under load
kept=0
callers=()
for i in $(seq 30); do
    served &
    callers+=($!)
    if [ "$i" = 10 ] || [ "$i" = 20 ]; then systemctl restart mdmd & fi
    sleep 0.05
done
for caller in "${callers[@]}"; do if wait "$caller"; then kept=$((kept + 1)); fi; done
wait
check "30 of 30 connections survive two restarts ($kept)" test $kept = 30

# Killed, and stuck
systemctl reset-failed mdmd # of its starts, which are limited
before=$(pid)
kill -9 "$before"
check "what is killed is started again" within 20 sh -c "systemctl is-active mdmd && [ \$(systemctl show -p MainPID --value mdmd) != $before ]"
check "and serves" within 20 served
mkdir -p /run/systemd/system/mdmd.service.d
printf '[Service]\nWatchdogSec=4\n' >/run/systemd/system/mdmd.service.d/watchdog.conf
systemctl daemon-reload
systemctl restart mdmd
sleep 10
check "who lives is not taken for dead" not logged "Watchdog timeout"
before=$(pid)
kill -STOP "$before"
check "who is stuck is" within 30 logged "Watchdog timeout"
check "and is started again" within 30 sh -c "systemctl is-active mdmd && [ \$(systemctl show -p MainPID --value mdmd) != $before ]"
check "and serves again" within 20 served
rm /run/systemd/system/mdmd.service.d/watchdog.conf
systemctl daemon-reload

# The key as a credential
systemctl reset-failed mdmd
mkdir -p -m 700 /etc/credstore
mv /etc/mdmd/entra.key /etc/credstore/entra-key
chown root:root /etc/credstore/entra-key
chmod 600 /etc/credstore/entra-key
sed -i '/^  key_file:/d' /etc/mdmd/config.yaml
check "a credential takes the place of the key file" systemctl restart mdmd
check "and is used" sh -c 'mdmctl key status --json | grep -q credential'
check "the daemon's user cannot read its source" not setpriv --reuid mdmd --regid mdmd --clear-groups cat /etc/credstore/entra-key

# Without systemd's sockets
systemctl stop mdmd mdmd.socket
systemctl mask mdmd.socket
mkdir -p /etc/systemd/system/mdmd.service.d
cp /usr/share/doc/mdmd/examples/without-socket.conf /etc/systemd/system/mdmd.service.d/
systemctl daemon-reload
check "without sockets it opens its own" systemctl start mdmd
check "and serves" within 20 served
check "by one capability" status_of CapEff 0000000000000400
systemctl stop mdmd
rm -r /etc/systemd/system/mdmd.service.d
systemctl unmask mdmd.socket
systemctl daemon-reload
check "and with them again" systemctl start mdmd

# Completion
completes() {
    (
        . /usr/share/bash-completion/completions/mdmctl
        COMP_WORDS=("$@")
        COMP_CWORD=$(($# - 1))
        _mdmd
        printf '%s\n' "${COMPREPLY[@]}"
    )
}
check "bash completes verbs" sh -c "[ '$(completes mdmctl dev)' = devices ]"
check "and options" test "$(completes mdmctl init --tenant)" = --tenant-id

# Upgrade, removal, purge
systemctl reset-failed mdmd
echo "# mine" >>/etc/mdmd/config.yaml
kept=0
callers=()
for i in $(seq 30); do
    served &
    callers+=($!)
    if [ "$i" = 10 ]; then dpkg -i /srv/mdmd.deb >/tmp/upgrade 2>&1 & upgrade=$!; fi
    sleep 0.1
done
for caller in "${callers[@]}"; do if wait "$caller"; then kept=$((kept + 1)); fi; done
check "the package is upgraded" wait $upgrade
check "30 of 30 connections survive it ($kept)" test $kept = 30
check "with what the administrator wrote" grep -q "# mine" /etc/mdmd/config.yaml
check "and runs" systemctl is-active mdmd.service mdmd.socket
authority=$(mdmctl ca export | sha256sum)
check "removal stops it" dpkg -r mdmd
check "wholly" not listens 443
check "and keeps the configuration" test -f /etc/mdmd/config.yaml
cp /etc/mdmd/config.yaml /root/kept.yaml
check "it is purged" sh -c 'dpkg -P mdmd >/tmp/purge 2>&1'
check "without the database" test -f /var/lib/mdmd/mdmd.db
check "which it says" grep -q "kept /var/lib/mdmd" /tmp/purge
check "or the keys" test -f /etc/mdmd/tls/server.key
check "it is installed again" dpkg -i /srv/mdmd.deb
check "and waits to be configured" not systemctl is-active mdmd
cp /root/kept.yaml /etc/mdmd/config.yaml
check "a configuration that was kept is taken" dpkg -i /srv/mdmd.deb
check "and it runs" systemctl is-active mdmd
check "with the authority that it had" within 20 sh -c "[ \"\$(mdmctl ca export | sha256sum)\" = '$authority' ]"
touch /etc/mdmd/purge-state
check "it is purged with all its state, where that is asked for" dpkg -P mdmd
check "of which nothing is left" not ls -d /var/lib/mdmd /etc/mdmd
exit $failed
