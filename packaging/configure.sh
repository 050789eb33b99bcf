# The user, the folders, and who may read them. Who has given them to somebody else keeps that.
systemd-sysusers mdmd.conf
mkdir -p /etc/mdmd/policies.d /etc/mdmd/tls /var/lib/mdmd
config=/etc/mdmd/config.yaml
mark=/etc/mdmd/run-mdmctl-init
for shared in /etc/mdmd /etc/mdmd/policies.d /etc/mdmd/tls $config; do
    if [ -e $shared ] && [ "$(stat -c %u:%g $shared)" = 0:0 ]; then
        chgrp mdmd $shared
        if [ -d $shared ]; then chmod 0750 $shared; fi
    fi
done
if [ "$(stat -c %u /var/lib/mdmd)" = 0 ]; then
    chown mdmd:mdmd /var/lib/mdmd
    chmod 0700 /var/lib/mdmd
fi
# systemd starts nothing while nobody has filled in the configuration.
if [ ! -f $config ] || grep -q 'tenant_id: <tenant ID>' $config; then
    echo "mdmctl init fills in config.yaml and removes this file. Who fills it in by hand removes this file." >$mark
    echo "mdmd is not configured yet and not started: run 'mdmctl init', then 'systemctl enable --now mdmd'."
else
    rm -f $mark
fi
