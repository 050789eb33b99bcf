# Runs behind walk.sh, in the same system: an appliance with one device, at work.
. /root/checks.sh
cd /root || exit 1
id=$(device ALICE-PC .id | tr -d '"')

# The journal
join_id=$(mdmctl devices show ALICE-PC --json | jq -r .client_request_id)
journal_has() { [ "$(journalctl -t mdmd -o json --no-pager "$1" | jq -r .MESSAGE | grep -c "$2")" -ge 1 ]; }
check "the journal finds the device" journal_has "MDMD_DEVICE_ID=$id" .
check "and its join: the enrollment" journal_has "MDMD_CLIENT_REQUEST_ID=$join_id" "device enrolled"
check "and the Terms of Use before it" journal_has "MDMD_CLIENT_REQUEST_ID=$join_id" "Terms of Use accepted"
check "and nobody else's" not journal_has MDMD_CLIENT_REQUEST_ID=00000000-0000-0000-0000-000000000000 .
check "systemctl status shows devices, queue and days" within 15 says_systemd '^Serving 1 device, 0 reports queued; .* ends in [0-9]+ days'

# A crash leaves no memory behind, even where the unit would let it.
mkdir -p /run/systemd/system/mdmd.service.d
printf '[Service]\nLimitCORE=infinity\nWorkingDirectory=/var/lib/mdmd\n' >/run/systemd/system/mdmd.service.d/core.conf
systemctl daemon-reload
systemctl restart mdmd
cores() { find /tmp /root /var/lib/mdmd -xdev -name 'core*' -type f | grep .; }
sh -c 'cd /tmp; ulimit -c unlimited; sh -c "kill -SEGV \$\$"; true' 2>/dev/null
check "a program that crashes leaves a core here" cores
rm -f /tmp/core*
check "mdmd's limit would let it" sh -c "grep -q '^Max core file size *unlimited' /proc/$(pid)/limits"
check "only root may look into it" test "$(stat -c %U /proc/"$(pid)"/environ)" = root
before=$(pid)
kill -SEGV "$before"
check "mdmd that crashes is started again" within 20 sh -c "systemctl is-active mdmd && [ \$(systemctl show -p MainPID --value mdmd) != $before ]"
check "and leaves none" not cores
rm /run/systemd/system/mdmd.service.d/core.conf
systemctl daemon-reload
systemctl restart mdmd
check "the unit's own limit is nothing" sh -c "grep -q '^Max core file size *0 ' /proc/$(pid)/limits"
check "mdmd is ready again" within 20 ready

# A certificate that is renewed, under a connection that stays.
serial() { openssl s_client -connect $host:443 -servername $host </dev/null 2>/dev/null | openssl x509 -noout -serial; }
before=$(serial)
mkfifo asked
openssl s_client -quiet -verify_quiet -CAfile ca.pem -connect $host:443 -servername $host <asked >answered 2>/dev/null &
client=$!
exec 8>asked
ask_again() { # ask_again N: one more request, the Nth, on that connection
    printf 'GET /EnrollmentServer/Discovery.svc HTTP/1.1\r\nHost: %s\r\n\r\n' $host >&8
    within 10 sh -c "[ \$(grep -o 'HTTP/1.1 200' answered | wc -l) = $1 ]"
}
check "a connection is kept" ask_again 1
certificate 60 2>/dev/null
install_certificate
check "a reload takes the new certificate" systemctl reload mdmd
check "who connects is shown it" not test "$before" = "$(serial)"
check "the connection that was there serves on" ask_again 2
exec 8>&-
kill $client
check "doctor finds nothing wrong" mdmctl doctor

# Names cannot be resolved.
rule() { mdm-sim device set --dir pc ./Vendor/MSFT/DeviceStatus/OS/Mode "$1" >/dev/null; }
cp /etc/hosts hosts
sed '/microsoftonline/d' hosts >/etc/hosts
check "mdmd starts without DNS" systemctl restart mdmd
check "and is ready" within 30 ready
rule 1
check "devices are managed" checks_in pc
check "and judged" device ALICE-PC '.compliance == "noncompliant"'
check "a report cannot go" not mdmctl compliance report
check "the log says so" logged "login.microsoftonline.com\|graph.microsoft.com"
check "and mdmctl status: what waits, and why" says_status '^reports +1 queued.*last error .*(login.microsoftonline.com|graph.microsoft.com)'
check "systemctl status shows that it waits" within 15 says_systemd '1 report queued'
check "doctor says which name" sh -c 'mdmctl doctor | grep -qE "^fail +dns .*microsoft"'
cat hosts >/etc/hosts
check "with DNS again, it goes by itself" within 60 graph pc '.isCompliant == false'
rule 0
check "the computer mends it" checks_in pc
check "which is told" mdmctl compliance report
check "and known" within 20 graph pc '.isCompliant == true'

# A small disk of its own for the state: full, and then gone read-only. The kernel's loop devices are the host's.
systemctl stop mdmd.socket mdmd
[ -e /dev/loop-control ] || mknod /dev/loop-control c 10 237
for n in $(seq 0 63); do [ -e /dev/loop$n ] || mknod /dev/loop$n b 7 $n; done
cp -a /var/lib/mdmd state
mount_state() { mount -o loop,errors=remount-ro /srv/disk /var/lib/mdmd; }
check "the state is moved to a disk of its own" mount_state
rmdir /var/lib/mdmd/lost+found
cp -a state/. /var/lib/mdmd/
chown mdmd:mdmd /var/lib/mdmd && chmod 700 /var/lib/mdmd
check "from which mdmd starts" systemctl start mdmd
check "ready" within 20 ready
before=$(pid)
told() { jq -r '.value[] | .id' | sort >told; sort -u acknowledged | comm -23 - told >lost; [ -s acknowledged ] && ! [ -s lost ]; }
command_is_taken() { # which tells its ID
    local said
    said=$(mdmctl devices send ALICE-PC get "./DevDetail/SwV" --json) && jq -re .id <<<"$said" >>acknowledged
}
check "a command is taken" command_is_taken
dd if=/dev/zero of=/var/lib/mdmd/filler bs=64k 2>/dev/null
fails_at_last() { # the log of the database may have a little room yet
    for _ in $(seq 400); do command_is_taken || return 0; done
    return 1
}
check "on a full disk a command is refused" fails_at_last
check "readyz is 503" within 20 unready
check "and says why" grep -q "store" /tmp/readyz
check "mdmctl status says that the store fails" says_status 'store failing'
check "systemctl status too" within 15 says_systemd 'the store cannot be written'
check "the log says why" logged "full"
check "a computer that joins is refused" not join pc2 BOB-PC
check "one that checks in comes again" not checks_in pc
check "doctor finds the disk" sh -c 'mdmctl doctor | grep -qE "^fail +disk"'
rm /var/lib/mdmd/filler
check "with room again it is ready by itself" within 10 ready
check "the same process" test "$before" = "$(pid)"
check "the store is ok" says_status 'store ok'
check "no command that was taken is lost ($(wc -l <acknowledged))" sh -c 'mdmctl commands list ALICE-PC --json >listed'
check "not one" told <listed
check "the computer that comes again is served" checks_in pc
check "and one joins" join pc2 BOB-PC

: >acknowledged
check "a command is taken before the disk fails" command_is_taken
mount -o remount,abort /var/lib/mdmd
check "on a disk that went read-only a command is refused" fails_at_last
check "readyz is 503 there" unready
check "mdmctl status says that the store fails there" says_status 'store failing'
check "who is known is still listed" device BOB-PC '.state == "enrolled"'
check "mdmd stays up" test "$before" = "$(pid)"
systemctl restart mdmd 2>/dev/null
check "it does not start on it" not systemctl is-active mdmd
check "and says so in one line" sh -c '[ $(journalctl -u mdmd -t mdmd -o cat --no-pager -n 1 | grep -cE "mdmd ends.*(read-only|readonly|Read-only)") = 1 ]'
systemctl stop mdmd.socket mdmd
umount /var/lib/mdmd
check "the disk is mended" sh -c 'e2fsck -fy /srv/disk; [ $? -le 1 ]'
check "and mounted" mount_state
systemctl reset-failed mdmd
check "it starts again" systemctl start mdmd
check "ready again" within 20 ready
mdmctl commands list ALICE-PC --json >listed
check "what was taken is there" told <listed
systemctl stop mdmd.socket mdmd
rm -rf state && cp -a /var/lib/mdmd state && umount /var/lib/mdmd && rm -rf /var/lib/mdmd && cp -a state /var/lib/mdmd
check "the state is moved back" systemctl start mdmd
check "and served" within 20 ready

# Backup
backups() { ls /var/lib/mdmd/backup/*.backup; }
check "a backup is made at night where the administrator wants it" not systemctl is-enabled mdmd-backup.timer
check "who has it" systemctl enable --now mdmd-backup.timer
check "knows when" sh -c 'systemctl list-timers --all | grep -q mdmd-backup'
check "its service makes one, in its sandbox" systemctl start mdmd-backup
check "which is mdmd's alone" test "$(stat -c %U:%a "$(backups)")" = mdmd:600
check "and whole" mdmctl restore "$(backups)" --check
systemctl stop mdmd.socket mdmd
check "it is put back" mdmctl restore "$(backups)"
check "and mdmd starts on it" systemctl start mdmd
check "with its devices" device BOB-PC '.state == "enrolled"'

# An older package over a newer database
older=$(dpkg-deb -f /srv/mdmd-older.deb Version)
systemctl stop mdmd.socket mdmd
database=/var/lib/mdmd/mdmd.db
now_at=$(sqlite3 $database 'PRAGMA user_version')
sqlite3 $database "VACUUM INTO '$database.schema-$now_at'" # as mdmd makes it before it changes the database
sqlite3 $database "PRAGMA user_version = $((now_at + 1))"
chown mdmd:mdmd $database*
check "an older package is installed over a newer one" dpkg -i /srv/mdmd-older.deb
check "which it is" test "$(dpkg-query -W -f '${Version}' mdmd)" = "$older"
check "it refuses the newer database, and names both versions" within 20 logged "schema version $((now_at + 1)).*$now_at"
check "and the copy" logged "mdmd.db.schema-$now_at"
check "and is not ready" not ready
systemctl stop mdmd.socket mdmd
check "the copy is put back" mdmctl restore "$database.schema-$now_at"
systemctl reset-failed mdmd
check "it starts on that" systemctl start mdmd
check "and is ready" within 20 ready
check "with its devices" device ALICE-PC '.state == "enrolled"'
check "which it manages" checks_in pc
check "the newer package is installed again" dpkg -i /srv/mdmd.deb
check "and ready" within 20 ready
check "the timer is still enabled" systemctl is-enabled mdmd-backup.timer

exit $failed
