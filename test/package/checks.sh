# What the checks inside of a container share. Sourced.
failed=0
check() { # check "CLAIM" COMMAND...
    local claim=$1
    shift
    if "$@" >/tmp/said 2>&1; then echo "ok      $claim"; else
        echo "FAILED  $claim"
        sed 's/^/        /' /tmp/said | head -10
        failed=1
    fi
}
not() { ! "$@"; }
within() { # within SECONDS COMMAND...
    local until=$((SECONDS + $1))
    shift
    while ! "$@" >/dev/null 2>&1; do
        if [ $SECONDS -gt $until ]; then return 1; fi
        sleep 0.1
    done
}
host=mdm.contoso.test
tools='curl openssl jq sqlite3'
pid() { systemctl show -p MainPID --value mdmd; }
property() { [ "$(systemctl show -p "$1" --value mdmd)" = "$2" ]; }
logged() { journalctl -u mdmd --no-pager | grep -q -- "$1"; }
status_of() { grep -qE "^$1:[[:space:]]*$2$" "/proc/$(pid)/status"; }
listens() { ss -Hltn "sport = :$1" | grep -q .; }
served() {
    curl -sf --max-time 30 --cacert /etc/mdmd/tls/server.crt --connect-to "$host:443:127.0.0.1:443" -o /dev/null \
        "https://$host/EnrollmentServer/Discovery.svc"
}

unconfigured_starts_nothing() {
    check "a fresh installation is enabled" systemctl is-enabled mdmd.service mdmd.socket
    check "and nothing of it runs" not systemctl is-active mdmd.service mdmd.socket
    check "starting it is no failure" systemctl start mdmd
    check "and starts nothing" not systemctl is-active mdmd.service mdmd.socket
    check "no port is open" not listens 443
    check "no unit has failed" test -z "$(systemctl --failed --plain --no-legend)"
    check "systemd says what to do" sh -c 'systemctl status mdmd | grep -q run-mdmctl-init'
    check "mdmd says what to do" sh -c '/usr/sbin/mdmd 2>&1 | grep -q "mdmctl init"'
    check "config.yaml is for root and the daemon's group" test "$(stat -c %U:%G:%a /etc/mdmd/config.yaml)" = root:mdmd:640
    check "so is its folder" test "$(stat -c %U:%G:%a /etc/mdmd)" = root:mdmd:750
}

configure() {
    printf 'n0t-a-real-s3cret~\n' | mdmctl init --tenant-id 11111111-2222-3333-4444-555555555555 \
        --client-id aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee --host $host --key-file - || return
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj "/CN=$host" \
        -addext "subjectAltName=DNS:$host" -keyout /etc/mdmd/tls/server.key -out /etc/mdmd/tls/server.crt || return
    chgrp mdmd /etc/mdmd/tls/server.key && chmod 640 /etc/mdmd/tls/server.key
}

starts_sandboxed() {
    check "mdmctl init fills it in" configure
    check "mdmd takes that" mdmd --check-config
    check "it starts" systemctl enable --now mdmd
    check "and is active" systemctl is-active mdmd.service mdmd.socket
    check "it serves" within 20 served
    check "systemd shows its state" sh -c 'systemctl show -p StatusText --value mdmd | grep -q .'
    check "it is nobody but mdmd" test "$(ps -o user= -p "$(pid)" | tr -d ' ')" = mdmd
    check "without any capability" status_of CapEff 0000000000000000
    check "now and ever" status_of CapBnd 0000000000000000
    check "or new privileges" status_of NoNewPrivs 1
    check "and few system calls" status_of Seccomp 2
    check "it cannot write where it has nothing to write" not nsenter -t "$(pid)" -m touch /usr/x /etc/x
    check "the database is its own alone" test "$(stat -c %U:%a /var/lib/mdmd/mdmd.db)" = mdmd:600
    check "mdmctl finds it" mdmctl status
    check "the admin socket is for root and the group" test "$(stat -c %G:%a /run/mdmd/admin.sock)" = mdmd:660
    check "no secret is in the journal" not sh -c 'journalctl --no-pager | grep -q n0t-a-real'
}

# What follows runs in /root, where walk.sh has made tenant/, ca.key and ca.pem.
certificate() { # certificate DAYS: server.crt, with its chain, and server.key
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$host" -keyout server.key -out server.csr &&
        openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -days "$1" -out server.crt \
            -extfile <(printf 'subjectAltName=DNS:%s\nextendedKeyUsage=serverAuth' $host) && cat ca.pem >>server.crt
}
install_certificate() { install -m 640 -g mdmd server.key /etc/mdmd/tls/ && install -m 644 server.crt /etc/mdmd/tls/; }
site() { mdm-sim "$@" --tenant tenant --server-ca ca.pem; }
join() { # join FOLDER NAME
    site device join --dir "$1" --user alice@contoso.test --ownership corporate --name "$2" --os-version 10.0.22631.3447 \
        --terms https://$host/TermsOfUse --discovery https://$host/EnrollmentServer/Discovery.svc
}
checks_in() { site device sync --dir "$1"; }
device() { # device NAME EXPRESSION: as mdmctl lists it
    local all
    all=$(mdmctl devices list --json) && jq -e --arg name "$1" "[.value[] | select(.name == \$name)][0] | $2" <<<"$all"
}
graph() { # graph FOLDER EXPRESSION: as Graph has it
    local all id
    id=$(jq -re .entra_device_id "$1/device.json") && all=$(mdm-sim tenant-ctl --dir tenant devices list --json) &&
        jq -e --arg id "$id" "[.. | objects | select(.deviceId? == \$id)][0] | $2" <<<"$all"
}
says_status() { mdmctl status | grep -qE -- "$1"; }
says_systemd() { systemctl show -p StatusText --value mdmd | grep -qE -- "$1"; }
ready() { curl -fsS --max-time 5 http://127.0.0.1:8080/readyz; }
unready() { [ "$(curl -sS --max-time 5 -o /tmp/readyz -w '%{http_code}' http://127.0.0.1:8080/readyz)" = 503 ] && cat /tmp/readyz; }
