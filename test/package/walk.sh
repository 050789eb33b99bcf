# Runs inside of a booted fresh Debian: the first day of docs/operations.md, with mdm-sim as Microsoft's cloud and as Windows.
# The addresses of login and Graph are the real ones, so that config.yaml is what mdmctl init writes.
. /root/checks.sh

# The packages. apt has in its cache what they need; there is no network.
check "nothing that the packages need is there before" not ls /usr/lib/x86_64-linux-gnu/libsqlite3.so.0 /etc/ssl/certs/ca-certificates.crt
check "apt installs them, and what they need" apt-get install -y --no-install-recommends /srv/mdmd.deb /srv/mdm-sim.deb
check "of which no library is missing" not sh -c 'ldd /usr/sbin/mdmd /usr/bin/mdmctl /usr/bin/mdm-sim | grep "not found"'
check "no unit has failed" test -z "$(systemctl --failed --plain --no-legend)"
# shellcheck disable=SC2086  # a list of words
check "the tools of this test" apt-get install -y --no-install-recommends $tools

# The tenant, at Microsoft's addresses, whose certificate this system trusts.
printf '127.0.0.2 %s\n127.0.0.1 login.microsoftonline.com graph.microsoft.com\n' $host >>/etc/hosts
systemd-run -q --unit=cloud mdm-sim tenant --dir /root/tenant --listen 127.0.0.1:443 --app-id https://$host \
    --login-host login.microsoftonline.com --graph-host graph.microsoft.com
check "mdm-sim stands for Microsoft's cloud" within 20 test -s /root/tenant/tenant.json
cp /root/tenant/tenant-ca.pem /usr/local/share/ca-certificates/simulated.crt
check "its root is trusted" update-ca-certificates
check "it has a user" mdm-sim tenant-ctl --dir /root/tenant users add alice@contoso.test

# What the portal gave, into config.yaml.
init() {
    mdmctl init --tenant-id "$(jq -r .tenant_id tenant/tenant.json)" --client-id "$(jq -r .client_id tenant/tenant.json)" \
        --host $host --key-file - <tenant/client-secret
}
cd /root || exit 1
check "mdmctl init writes config.yaml and the key file" init

# The TLS certificate, of an authority that devices trust.
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -subj "/CN=Contoso Root" \
    -addext "basicConstraints=critical,CA:TRUE" -keyout ca.key -out ca.pem 2>/dev/null
cp ca.pem /usr/local/share/ca-certificates/contoso.crt
update-ca-certificates >/dev/null 2>&1
certificate 90 2>/dev/null
check "without a certificate doctor says what is missing" sh -c 'mdmctl doctor 2>&1 | grep -q "^fail.*server.crt"'
check "the certificate and its key are installed" install_certificate

# The simulated cloud has port 443 of 127.0.0.1.
mkdir -p /etc/systemd/system/mdmd.socket.d
printf '[Socket]\nListenStream=\nListenStream=127.0.0.2:443\nListenStream=127.0.0.2:8443\n' >/etc/systemd/system/mdmd.socket.d/override.conf
systemctl daemon-reload

check "doctor finds nothing wrong before the start" mdmctl doctor
check "mdmd is enabled and starts" systemctl enable --now mdmd
check "it is ready" within 20 ready
check "doctor finds nothing wrong when it runs" mdmctl doctor

# A computer joins.
check "a computer joins: Terms of Use, enrollment" join pc ALICE-PC
check "it checks in" checks_in pc
check "it is in devices list" device ALICE-PC '.state == "enrolled" and .user == "alice@contoso.test"'
check "and has been seen" device ALICE-PC '.last_seen != null'
check "what its user accepted is on record" sh -c 'mdmctl consents list --user alice@contoso.test | grep -q alice'
check "it complies" device ALICE-PC '.compliance == "compliant"'
check "Graph is told so" mdmctl compliance report
check "and has it as managed and compliant" within 20 graph pc '.isManaged == true and .isCompliant == true'

# A policy, as the ready ones.
printf 'name: baseline\nsettings:\n  - { uri: ./Device/Vendor/MSFT/Policy/Config/DeviceLock/MinDevicePasswordLength, format: int, value: 8 }\ncompliance:\n  rules:\n    - { uri: ./Vendor/MSFT/DeviceStatus/OS/Mode, op: eq, value: 0 }\n' >/etc/mdmd/policies.d/baseline.yaml
check "a policy is checked" mdmctl policies check
check "and taken by a reload" systemctl reload mdmd
check "the next session applies it" checks_in pc
check "the computer has the setting" sh -c '[ "$(mdm-sim device show --dir pc ./Device/Vendor/MSFT/Policy/Config/DeviceLock/MinDevicePasswordLength --json | jq -r .value)" = 8 ]'
check "and complies" device ALICE-PC '.compliance == "compliant"'
check "nothing went wrong on the first day" not sh -c 'journalctl -t mdmd -p err --no-pager -q | grep .'
exit $failed
