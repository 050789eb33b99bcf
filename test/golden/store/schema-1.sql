CREATE TABLE meta (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
);
CREATE TABLE authority (                -- every certificate that devices' certificates were ever issued under
    fingerprint TEXT PRIMARY KEY,       -- SHA-256 of the DER, hex
    role TEXT NOT NULL,                 -- root, issuing
    origin TEXT NOT NULL,               -- own, external
    root TEXT NOT NULL,                 -- fingerprint of the one it hangs on
    certificate TEXT NOT NULL,
    private_key TEXT NOT NULL,          -- perhaps encrypted; empty: not kept here
    created BIGINT NOT NULL,
    position BIGINT NOT NULL            -- order in which they came
);
CREATE TABLE consent (
    id TEXT PRIMARY KEY,                -- SHA-256 of the blob that Windows carries to the enrollment
    user_id TEXT NOT NULL,
    upn TEXT NOT NULL,
    ownership TEXT NOT NULL,            -- corporate, personal
    client_request_id TEXT NOT NULL,
    text_version TEXT NOT NULL,         -- of the text that was shown
    language TEXT NOT NULL,             -- BCP 47
    accepted BIGINT NOT NULL,
    expires BIGINT NOT NULL,
    device_id TEXT,                     -- whose enrollment used it
    used BIGINT
);
CREATE INDEX consent_time ON consent (accepted);
CREATE TABLE attempt (                  -- an enrollment that has begun and not come to an end
    id TEXT NOT NULL,                   -- correlation id
    user_id TEXT NOT NULL,
    stage TEXT NOT NULL,                -- shown, accepted, signed_in, issued
    upn TEXT NOT NULL,
    entra_device_id TEXT NOT NULL,
    os_version TEXT NOT NULL,
    device_id TEXT NOT NULL,            -- issued: whose certificate
    enrollment_type TEXT NOT NULL,      -- Graph's
    due BIGINT NOT NULL,                -- silent until then, it has failed
    PRIMARY KEY (id, user_id)
);
CREATE INDEX attempt_due ON attempt (due);
CREATE INDEX attempt_device ON attempt (device_id);
CREATE TABLE pin (                      -- one a user; a used or locked one stays to say so
    upn TEXT PRIMARY KEY,               -- lower case
    salt TEXT NOT NULL,                 -- base64, as the hash
    hash TEXT NOT NULL,                 -- scrypt
    created BIGINT NOT NULL,
    expires BIGINT NOT NULL,
    tries BIGINT NOT NULL,              -- begun, right or wrong
    used BIGINT
);
CREATE TABLE sign_in (                  -- on our own page, at Entra
    id TEXT PRIMARY KEY,                -- SHA-256 of the token that it gave
    request TEXT NOT NULL UNIQUE,       -- of the page that led to it
    user_id TEXT NOT NULL,
    upn TEXT NOT NULL,
    correlation_id TEXT NOT NULL,
    at BIGINT NOT NULL,
    expires BIGINT NOT NULL,
    device_id TEXT                      -- whose enrollment used it
);
CREATE INDEX sign_in_time ON sign_in (expires);
CREATE TABLE device (
    id TEXT PRIMARY KEY,                -- GUID: EntDMID, and the common name of its certificates
    mdm_device_id TEXT NOT NULL,        -- DeviceID of the enrollment, SyncML's Source
    hardware_id TEXT NOT NULL,          -- HWDevID
    entra_device_id TEXT NOT NULL,      -- empty until known
    user_id TEXT NOT NULL,              -- Entra object ID of who enrolled it
    upn TEXT NOT NULL,
    ownership TEXT NOT NULL,            -- corporate, personal
    enrollment_type TEXT NOT NULL,      -- Device, Full
    name TEXT NOT NULL,
    os_version TEXT NOT NULL,
    os_edition TEXT NOT NULL,
    correlation_id TEXT NOT NULL,
    state TEXT NOT NULL,                -- enrolled, retired, wiped, unenrolled, replaced
    enrolled BIGINT NOT NULL,
    server_secret TEXT NOT NULL,        -- APPAUTH CLIENT: what the server would show the device
    server_nonce TEXT NOT NULL,
    device_secret TEXT NOT NULL,        -- APPAUTH APPSRV: what the device would show the server
    device_nonce TEXT NOT NULL,
    first_sync TEXT NOT NULL            -- what Windows' status page was told, with an answer: owed, begun, done
);
CREATE INDEX device_of_user ON device (user_id, state);
CREATE INDEX device_hardware ON device (hardware_id);
CREATE INDEX device_source ON device (mdm_device_id);
CREATE INDEX device_entra ON device (entra_device_id);
CREATE INDEX device_name ON device (name);
CREATE TABLE entra_claim (              -- a device's own word which of Entra's it is, until Entra confirms that
    device_id TEXT PRIMARY KEY REFERENCES device (id) ON DELETE CASCADE,
    entra_device_id TEXT NOT NULL,
    since BIGINT NOT NULL,
    next_try BIGINT NOT NULL,
    problem TEXT NOT NULL               -- why it is not confirmed; empty: nobody was asked yet
);
CREATE INDEX entra_claim_due ON entra_claim (next_try);
CREATE TABLE device_user (             -- who was seen signed in on a device, by a token of Entra's
    device_id TEXT NOT NULL REFERENCES device (id) ON DELETE CASCADE,
    user_id TEXT NOT NULL,
    upn TEXT NOT NULL,
    first_seen BIGINT NOT NULL,
    first_sync TEXT NOT NULL,           -- as the device's own, for the user's part
    PRIMARY KEY (device_id, user_id)
);
CREATE INDEX device_user_user ON device_user (user_id);
CREATE TABLE user_groups (              -- as Graph said
    user_id TEXT PRIMARY KEY,
    groups TEXT NOT NULL,               -- object IDs, lower case, with commas between
    fetched BIGINT NOT NULL
);
CREATE TABLE certificate (
    fingerprint TEXT PRIMARY KEY,       -- SHA-256 of the DER, hex
    device_id TEXT NOT NULL REFERENCES device (id) ON DELETE CASCADE,
    serial TEXT NOT NULL UNIQUE,
    pem TEXT NOT NULL,
    not_before BIGINT NOT NULL,
    not_after BIGINT NOT NULL,
    request_digest TEXT NOT NULL UNIQUE,  -- the same request of an enrollment or a renewal gets the same certificate
    revoked BIGINT,
    renewed_from TEXT NOT NULL,         -- fingerprint of the one that asked for this one; empty: an enrollment
    first_used BIGINT                   -- null: nothing shows yet that the device has it
);
CREATE INDEX certificate_device ON certificate (device_id);
CREATE TABLE session (
    device_id TEXT PRIMARY KEY REFERENCES device (id) ON DELETE CASCADE,
    state TEXT NOT NULL,                -- omadm's own text
    request_digest TEXT NOT NULL,       -- of the last message taken in
    reply TEXT NOT NULL,                -- and what was answered
    seen BIGINT NOT NULL,
    refreshed BIGINT NOT NULL           -- when inventory and settings were last read whole; 0: never
);
CREATE TABLE trace (                    -- management sessions, message by message, secrets blanked
    device_id TEXT NOT NULL REFERENCES device (id) ON DELETE CASCADE,
    position BIGINT NOT NULL,           -- order in which they ended, whatever the clock said
    began BIGINT NOT NULL,
    session_id TEXT NOT NULL,           -- the device's
    idle BIGINT NOT NULL,               -- nothing but reads, and nothing failed
    messages TEXT NOT NULL,             -- JSON
    PRIMARY KEY (device_id, position)
);
CREATE TABLE command (
    id TEXT PRIMARY KEY,
    device_id TEXT NOT NULL REFERENCES device (id) ON DELETE CASCADE,
    position BIGINT NOT NULL,           -- order of delivery
    kind TEXT NOT NULL,                 -- send (any SyncML), reboot, wipe...
    user_id TEXT NOT NULL,              -- who must be signed in for it; empty: nobody
    verb TEXT NOT NULL,
    uri TEXT NOT NULL,
    format TEXT NOT NULL,
    value TEXT,
    queued BIGINT NOT NULL,
    state TEXT NOT NULL,                -- queued, sent, done, failed, unknown, cancelled
    deliveries BIGINT NOT NULL,         -- how often it was sent
    status BIGINT,
    original_error TEXT NOT NULL,
    result TEXT,
    updated BIGINT NOT NULL,
    expires BIGINT,                     -- not begun by then, it is cancelled
    stage TEXT NOT NULL,                -- of an order in several steps: where it stands
    memory TEXT NOT NULL,               -- and what was read before
    detail TEXT NOT NULL                -- for people: what came of it, what is waited for
);
CREATE UNIQUE INDEX command_order ON command (device_id, position);
CREATE INDEX command_open ON command (device_id, position) WHERE state IN ('queued', 'sent');
CREATE INDEX command_expiry ON command (expires) WHERE state = 'queued';
CREATE INDEX command_finished ON command (device_id, position DESC, updated, id) WHERE state NOT IN ('queued', 'sent');
CREATE TABLE setting (
    device_id TEXT NOT NULL REFERENCES device (id) ON DELETE CASCADE,
    user_id TEXT NOT NULL,              -- whose; empty: the device's
    node TEXT NOT NULL,                 -- canonical URI
    uri TEXT NOT NULL,                  -- as the policy writes it
    format TEXT NOT NULL,
    value TEXT,
    policy TEXT NOT NULL,
    position BIGINT NOT NULL,           -- order of writing
    state TEXT NOT NULL,                -- pending, applied, failed, removing, removal_failed, not_applicable
    status BIGINT NOT NULL,
    original_error TEXT NOT NULL,
    reported TEXT,
    attempts BIGINT NOT NULL,
    delivered BIGINT NOT NULL,          -- some value of ours is on the device
    note TEXT NOT NULL,                 -- for people: why it is not sent, who else wants the node otherwise
    PRIMARY KEY (device_id, user_id, node)
);
CREATE TABLE fact (
    device_id TEXT NOT NULL REFERENCES device (id) ON DELETE CASCADE,
    node TEXT NOT NULL,                 -- canonical URI
    status BIGINT NOT NULL,             -- SyncML's
    value TEXT,
    since BIGINT NOT NULL,              -- when the device first answered so
    PRIMARY KEY (device_id, node)
);
CREATE TABLE verdict (
    device_id TEXT PRIMARY KEY REFERENCES device (id) ON DELETE CASCADE,
    state TEXT NOT NULL,
    since BIGINT NOT NULL,
    grace_until BIGINT,
    failing TEXT NOT NULL,              -- JSON: policy -> since when
    unclear_since BIGINT,               -- since when the device's answers do not suffice
    acted TEXT NOT NULL,                -- JSON: the actions that its failures have led to
    reasons TEXT NOT NULL,              -- JSON
    next_check BIGINT
);
CREATE INDEX verdict_due ON verdict (next_check);
CREATE TABLE verdict_history (          -- one row for each change of state
    device_id TEXT NOT NULL REFERENCES device (id) ON DELETE CASCADE,
    number BIGINT NOT NULL,             -- counts up, for each device by itself
    at BIGINT NOT NULL,
    state TEXT NOT NULL,
    reasons TEXT NOT NULL,              -- JSON
    PRIMARY KEY (device_id, number)
);
CREATE TABLE notice (                   -- what is still to be told to the administrator's program and web hook
    id TEXT PRIMARY KEY,
    at BIGINT NOT NULL,
    body TEXT NOT NULL,                 -- the JSON object
    command_due BIGINT NOT NULL,        -- not yet delivered to notify.command
    webhook_due BIGINT NOT NULL,        -- nor to notify.webhook
    attempts BIGINT NOT NULL,
    next_try BIGINT NOT NULL,
    error TEXT NOT NULL
);
CREATE INDEX notice_due ON notice (next_try);
CREATE TABLE report (
    device_id TEXT PRIMARY KEY,         -- outlives the device: its end is reported too
    entra_device_id TEXT NOT NULL,
    is_managed BIGINT NOT NULL,
    is_compliant BIGINT NOT NULL,
    decided BIGINT NOT NULL,            -- when these two were
    revision BIGINT NOT NULL,           -- of these two
    told BIGINT NOT NULL,               -- the revision that Graph took last; 0: none
    phase TEXT NOT NULL,                -- waiting, due, done, parked
    object_id TEXT NOT NULL,            -- Graph's; empty: to be looked up
    was_known BIGINT NOT NULL,          -- there was an object id once
    attempts BIGINT NOT NULL,
    next_try BIGINT NOT NULL,           -- of one that is done: when it is told again
    error TEXT NOT NULL,
    last_success BIGINT,
    resolved_again BIGINT NOT NULL
);
CREATE INDEX report_fresh ON report (next_try) WHERE phase = 'due' AND attempts = 0;
CREATE INDEX report_tried ON report (next_try) WHERE phase = 'due' AND attempts > 0;
CREATE INDEX report_parked ON report (next_try) WHERE phase = 'parked';
CREATE INDEX report_done ON report (next_try) WHERE phase = 'done';
CREATE INDEX report_lag ON report (decided) WHERE phase = 'due' AND told <> revision;
CREATE INDEX report_success ON report (last_success);
CREATE INDEX report_entra ON report (entra_device_id);
CREATE TABLE report_history (           -- what Entra was told of a device, and what it refused to be told
    device_id TEXT NOT NULL,            -- outlives the device
    position BIGINT NOT NULL,           -- order in which they came
    entra_device_id TEXT NOT NULL,
    at BIGINT NOT NULL,
    decided BIGINT NOT NULL,
    is_managed BIGINT NOT NULL,
    is_compliant BIGINT NOT NULL,
    result TEXT NOT NULL,               -- "204", or Graph's words
    PRIMARY KEY (device_id, position)
);
CREATE INDEX report_history_time ON report_history (at);
CREATE TABLE entra_document (          -- what Entra said, for when it is away
    name TEXT PRIMARY KEY,              -- signing_keys, key_end:<of which key>
    text TEXT NOT NULL,                 -- JSON
    fetched BIGINT NOT NULL
);
CREATE TABLE reminder (                 -- the last one of each thing that ends
    what TEXT PRIMARY KEY,              -- entra_key, tls_certificate, authority...
    ends BIGINT NOT NULL,
    threshold BIGINT NOT NULL,          -- seconds before the end; 0: the end itself
    at BIGINT NOT NULL,
    command_due BIGINT NOT NULL,        -- not yet delivered to notify.command
    webhook_due BIGINT NOT NULL,        -- nor to notify.webhook
    attempts BIGINT NOT NULL,
    next_try BIGINT NOT NULL,
    error TEXT NOT NULL
);
CREATE TABLE event (                    -- a failed enrollment; its enumerations are Graph's names
    id TEXT PRIMARY KEY,
    at BIGINT NOT NULL,
    correlation_id TEXT,
    managed_device_id TEXT,
    operating_system TEXT,
    os_version TEXT,
    user_id TEXT,
    entra_device_id TEXT,
    enrollment_type TEXT NOT NULL,
    category TEXT NOT NULL,
    reason TEXT,
    event_name TEXT,
    additional_information TEXT NOT NULL,  -- JSON; empty: null
    details TEXT NOT NULL               -- JSON; empty: null
);
CREATE INDEX event_time ON event (at, id);
CREATE TABLE app (                      -- an MSI package that a policy has for a device
    device_id TEXT NOT NULL REFERENCES device (id) ON DELETE CASCADE,
    product_code TEXT NOT NULL,         -- {GUID}, upper case
    policy TEXT NOT NULL,               -- that has it
    intent TEXT NOT NULL,               -- install, uninstall
    job TEXT NOT NULL,                  -- what is to be installed, so that a change shows
    version TEXT NOT NULL,              -- that is wanted; empty: any
    state TEXT NOT NULL,                -- pending, sent, installing, installed, failed, removing, removed, not_applicable
    status BIGINT NOT NULL,             -- the last SyncML status; 0: none
    msi_status BIGINT NOT NULL,         -- the last Status of the installation, 10 to 70; 0: none
    last_error TEXT NOT NULL,           -- LastError or the alert's, "0x80070643"
    detail TEXT NOT NULL,               -- for the operator
    installed_version TEXT NOT NULL,
    attempts BIGINT NOT NULL,
    since BIGINT NOT NULL,              -- of the state
    next_try BIGINT NOT NULL,           -- of a failed one, or when what is installed is looked at again
    PRIMARY KEY (device_id, product_code)
);
CREATE TABLE push_channel (             -- where a device can be woken
    device_id TEXT PRIMARY KEY REFERENCES device (id) ON DELETE CASCADE,
    uri TEXT NOT NULL,                  -- of Windows' push service; empty: none
    status BIGINT NOT NULL,             -- Push/Status as the device said it last; -1: it did not
    since BIGINT NOT NULL               -- when these were first heard
);
CREATE TABLE api_token (
    name TEXT PRIMARY KEY,
    role TEXT NOT NULL,                 -- reader, operator, admin
    digest TEXT NOT NULL UNIQUE,        -- SHA-256 of the token, hex
    created BIGINT NOT NULL,
    expires BIGINT NOT NULL,
    last_used BIGINT                    -- to the minute
);
