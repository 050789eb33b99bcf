// The events' API as those who use Microsoft Graph meet it: through @microsoft/microsoft-graph-client, unchanged but for
// the address that it is pointed at.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { before, test } from 'node:test';
import library from '@microsoft/microsoft-graph-client';

const { Client, GraphError, PageIterator } = library;
const { WORK, CTL, SIM, ORIGIN } = process.env;
const events = '/deviceManagement/troubleshootingEvents';
const nobody = '00000000-0000-0000-0000-000000000000';
const type = '#microsoft.graph.enrollmentTroubleshootingEvent';

const run = (program, ...args) => execFileSync(program, args, { cwd: WORK }).toString().trim();
const mdmctl = (...args) => run(CTL, '--config', path.join(WORK, 'config.yaml'), ...args);
const makeToken = (name, role) => JSON.parse(mdmctl('token', 'create', name, '--role', role, '--json')).token;
const entraToken = (claims) => run(SIM, 'tenant-ctl', '--dir', path.join(WORK, 'tenant'), 'token', '--kind', 'app',
    '--claims', JSON.stringify(claims));

const clientOf = (token, defaultVersion = 'v1.0') => Client.initWithMiddleware({
    baseUrl: `${ORIGIN}/`,
    defaultVersion,
    customHosts: new Set(['localhost']),
    authProvider: { getAccessToken: async () => token },
});
const refusal = async (promise, statusCode, code) => {
    const error = await promise.then(() => assert.fail('it was not refused'), (e) => e);
    assert.ok(error instanceof GraphError, `${error}`);
    assert.equal(error.statusCode, statusCode);
    assert.equal(error.code, code);
    assert.match(error.requestId ?? '', /^[0-9a-f-]{36}$/);
    assert.ok(error.message.length > 0);
    return error;
};

let admin, reader, beta;
before(() => {
    admin = clientOf(makeToken('graph-admin', 'admin'));
    beta = clientOf(makeToken('graph-beta', 'operator'), 'beta');
    reader = clientOf(makeToken('graph-reader', 'reader'));
});

test('an event is created, got, changed and deleted', async () => {
    const made = await admin.api(events).post({ '@odata.type': type, eventDateTime: '2016-12-31T23:59:23.3984029-08:00',
        correlationId: 'c1', operatingSystem: 'Windows', osVersion: '10.0.22631.1', userId: 'u1', deviceId: 'd1',
        managedDeviceIdentifier: 'm1', enrollmentType: 'windowsAzureADJoin', failureCategory: 'authorization',
        failureReason: 'Because' });
    assert.equal(made['@odata.type'], type);
    assert.equal(made.eventDateTime, '2017-01-01T07:59:23.398Z');
    assert.match(made['@odata.context'], /^https:\/\/localhost:\d+\/v1\.0\/\$metadata#/);
    assert.deepEqual(await reader.api(`${events}/${made.id}`).get(), made);
    const changed = await admin.api(`${events}/${made.id}`).patch({ failureReason: 'Other', userId: null });
    assert.deepEqual(changed, { ...made, failureReason: 'Other', userId: null });
    const selected = await reader.api(`${events}/${made.id}`).select(['id', 'failureReason']).get();
    assert.deepEqual(Object.keys(selected).filter((k) => !k.startsWith('@')), ['id', 'failureReason']);
    const shown = JSON.parse(mdmctl('events', 'show', made.id, '--json'));
    assert.equal(shown.failureReason, 'Other');
    await admin.api(`${events}/${made.id}`).delete();
    await refusal(reader.api(`${events}/${made.id}`).get(), 404, 'itemNotFound');
});

test('250 events are paged through, each once, while one more comes', async () => {
    const ids = new Set();
    for (let i = 0; i < 250; i += 1) {
        const made = await admin.api(events).post({ '@odata.type': type, correlationId: 'paged', userId: `user${i % 7}`,
            eventDateTime: new Date(Date.UTC(2026, 0, 1, 0, 0, i % 50)).toISOString(), failureCategory: 'badRequest' });
        ids.add(made.id);
    }
    const seen = [];
    let pages = 0;
    const first = await reader.api(events).filter("correlationId eq 'paged'").orderby('eventDateTime desc')
        .select('id,eventDateTime,correlationId').count(true).top(40).get();
    assert.equal(first['@odata.count'], 250);
    assert.equal(first.value.length, 40);
    // Newer than all: for whoever begins anew.
    await admin.api(events).post({ '@odata.type': type, correlationId: 'paged', failureCategory: 'badRequest' });
    await new PageIterator({ api: (link) => { pages += 1; return reader.api(link); } }, first, (event) => {
        seen.push(event);
        return true;
    }).iterate();
    assert.equal(pages, 6);
    assert.equal(seen.length, 250);
    assert.deepEqual(new Set(seen.map((e) => e.id)), ids);
    for (let i = 1; i < seen.length; i += 1) assert.ok(seen[i - 1].eventDateTime >= seen[i].eventDateTime);
});

test('by itself a page has 100, and a filter with and, or and not finds what it says', async () => {
    const page = await reader.api(events).get();
    assert.equal(page.value.length, 100);
    assert.match(page['@odata.nextLink'], /\$skiptoken=/);
    const found = await reader.api(events).filter("correlationId eq 'paged' and not (userId eq 'user1' or userId eq null) "
        + 'and eventDateTime lt 2026-01-01T00:00:10Z').top(1000).get();
    assert.ok(found.value.length > 0);
    for (const event of found.value) {
        assert.notEqual(event.userId, 'user1');
        assert.ok(event.eventDateTime < '2026-01-01T00:00:10Z');
    }
    const none = await reader.api(events).filter("failureCategory eq 'userAbandonment'").get();
    assert.deepEqual(none.value, []);
});

test('beta shows and takes more', async () => {
    const details = { context: 'c', failure: 'f', failureDetails: 'd', remediation: 'r',
        resources: [{ text: 't', link: 'https://contoso.test' }] };
    const made = await beta.api(events).post({ '@odata.type': type, eventName: 'name',
        additionalInformation: [{ name: 'n', value: 'v' }], troubleshootingErrorDetails: details });
    assert.equal(made.eventName, 'name');
    assert.equal(made.troubleshootingErrorDetails.resources[0].link, 'https://contoso.test');
    assert.equal(made.additionalInformation[0].value, 'v');
    assert.equal((await reader.api(`${events}/${made.id}`).get()).eventName, undefined);
    assert.equal((await reader.api(`${events}/${made.id}`).version('beta').get()).eventName, 'name');
});

test('what is refused is a GraphError that says why', async () => {
    await refusal(clientOf('mdmd_wrong').api(events).get(), 401, 'unauthenticated');
    await refusal(reader.api(events).post({ '@odata.type': type }), 403, 'accessDenied');
    await refusal(reader.api(`${events}/${nobody}`).delete(), 403, 'accessDenied');
    await refusal(admin.api(`${events}/${nobody}`).delete(), 404, 'itemNotFound');
    await refusal(admin.api('/deviceManagement/managedDevicesX').get(), 404, 'itemNotFound');
    await refusal(admin.api(events).put({}), 405, 'notSupported');
    await refusal(admin.api(events).header('Content-Type', 'text/plain').post('x'), 415, 'unsupportedMediaType');
    const wrong = await refusal(reader.api(events).filter("failureCategory eq 'nonsense'").get(), 400, 'invalidRequest');
    assert.match(wrong.message, /nonsense/);
    await refusal(reader.api(events).top(1001).get(), 400, 'invalidRequest');
    await refusal(reader.api(events).expand('x').get(), 400, 'invalidRequest');
    await refusal(admin.api(events).post({ '@odata.type': type, failureCategory: 2 }), 400, 'invalidRequest');
    await refusal(admin.api(events).post({ '@odata.type': '#microsoft.graph.managedDevice' }), 400, 'invalidRequest');
});

test('an Entra token with the permission of the same call is as good', async () => {
    const read = clientOf(entraToken({ roles: ['DeviceManagementManagedDevices.Read.All'] }));
    assert.equal((await read.api(events).top(1).get()).value.length, 1);
    await refusal(read.api(events).post({}), 403, 'accessDenied');
    const write = clientOf(entraToken({ roles: ['DeviceManagementManagedDevices.ReadWrite.All'] }));
    const made = await write.api(events).post({ '@odata.type': type });
    await write.api(`${events}/${made.id}`).delete();
    await refusal(clientOf(entraToken({ roles: ['User.Read.All'] })).api(events).get(), 403, 'accessDenied');
});

test('a revoked token is good no more', async () => {
    const token = makeToken('graph-short', 'reader');
    assert.ok((await clientOf(token).api(events).get()).value);
    mdmctl('token', 'revoke', 'graph-short');
    await refusal(clientOf(token).api(events).get(), 401, 'unauthenticated');
});
