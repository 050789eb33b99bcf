// What the suites share: the browser, the addresses, users of the simulated tenant, the daemon's configuration.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import https from 'node:https';
import path from 'node:path';
import { chromium } from 'playwright-core';

export const { WORK, SCREENSHOTS, PUBLIC_PORT } = process.env;
const { SIM, CTL, MDMD_PID } = process.env;

export const origin = 'https://mdm.contoso.test';
export const outside = 'https://sign-in.example.test';  // somebody else's origin
export const redirectUri = 'ms-appx-web://Microsoft.AAD.BrokerPlugin/DRS';
const query = new URLSearchParams({ redirect_uri: redirectUri, 'api-version': '1.0',
    'client-request-id': '6c1de2c0-9b02-4a0b-8f5e-3f1e7d5a0c11' });
export const personal = `${origin}/TermsOfUse?${query}`;
export const corporate = `${personal}&mode=azureadjoin`;

const run = (program, ...args) => execFileSync(program, args, { cwd: WORK }).toString().trim();
const tenant = (...args) => run(SIM, 'tenant-ctl', '--dir', path.join(WORK, 'tenant'), ...args);
export const mdmctl = (...args) => run(CTL, '--config', path.join(WORK, 'config.yaml'), ...args);
const tokens = new Map();
export function tokenOf(user) {
    if (!tokens.has(user)) {
        const known = JSON.parse(tenant('users', 'list', '--json'));
        if (!JSON.stringify(known).includes(`"${user}"`)) tenant('users', 'add', user);
        tokens.set(user, tenant('token', '--user', user));
    }
    return tokens.get(user);
}

export async function until(condition, what) {
    for (const end = Date.now() + 20_000; !await condition();) {
        assert.ok(Date.now() < end, `waited too long for ${what}`);
        await new Promise((done) => setTimeout(done, 20));
    }
}

// The configuration is what the daemon began with, and this.
export async function configure(extra = '') {
    const taken = () => fs.readFileSync(path.join(WORK, 'mdmd.log'), 'utf8').split('configuration taken').length;
    const before = taken();
    fs.writeFileSync(path.join(WORK, 'config.yaml'), `${fs.readFileSync(path.join(WORK, 'base.yaml'), 'utf8')}${extra}\n`);
    process.kill(Number(MDMD_PID), 'SIGHUP');
    await until(() => taken() > before, `the daemon to take ${extra}`);
}
export async function setPolicy(name, from, to) {
    const file = path.join(WORK, 'policies.d', name);
    fs.writeFileSync(file, fs.readFileSync(file, 'utf8').replace(from, to));
}

// Our sign-in page, as Windows opens it, and the `state` with which it sends the browser on to Entra.
export const signInPage = `${origin}/EnrollmentServer/Auth?appru=ms-app%3A%2F%2Fwindows.immersivecontrolpanel`;
export const signInState = () => new Promise((done, failed) => {
    const { host, pathname, search } = new URL(signInPage);
    https.get({ host: '127.0.0.1', port: PUBLIC_PORT, path: pathname + search, servername: host, headers: { host },
        rejectUnauthorized: false }, (answer) => {
        answer.resume();
        if (answer.statusCode === 302) done(new URL(answer.headers.location).searchParams.get('state'));
        else failed(new Error(`the sign-in page answers ${answer.statusCode}`));
    }).on('error', failed);
});

// A browser that finds the appliance and the outsider, and nothing else in the world. `outsiderPort`: where the
// outsider's server listens, if there is one.
export const launch = (outsiderPort) => chromium.launch({
    executablePath: '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
        '--disable-component-update', '--disable-sync', '--hide-scrollbars',
        `--host-resolver-rules=MAP mdm.contoso.test:443 127.0.0.1:${PUBLIC_PORT}, ${outsiderPort
            ? `MAP sign-in.example.test:443 127.0.0.1:${outsiderPort}, ` : ''}MAP * ~NOTFOUND`],
});

// A small server of another origin: `pages` maps a path to HTML.
export async function outsider(pages) {
    const server = https.createServer({ key: fs.readFileSync(path.join(WORK, 'server.key')),
        cert: fs.readFileSync(path.join(WORK, 'server.crt')) }, (request, answer) => {
        answer.setHeader('Content-Type', 'text/html; charset=utf-8');
        answer.end(pages[request.url] ?? '<!DOCTYPE html><title>Before</title>');
    });
    await new Promise((done) => server.listen(0, '127.0.0.1', done));
    return { port: server.address().port, close: () => server.close() };
}

// The headers that Windows sends along, by what surrounds the page.
const build = (number) => JSON.stringify({ platformId: 2, majorVersion: 10, minorVersion: 0, buildNumber: number });
export const themes = {
    'oobe-dark': { 'CXH-HOST': 'FRX', 'cxh-osVersionInfo': build(19045) },
    'oobe-light': { 'CXH-HOST': 'FRX', 'cxh-osVersionInfo': build(22631) },
    settings: { 'CXH-HOST': 'MOSET' },
    automatic: {},
};

// Opens an address of the Terms as Windows does, which sends the token and its headers with the first request and the
// token never again.
export async function openTerms(page, url, { bearer, theme = 'automatic', where = page } = {}) {
    await page.route(url, (route) => route.continue({ headers: { ...route.request().headers(), ...themes[theme],
        authorization: `Bearer ${bearer}` } }), { times: 1 });
    return where.goto(url);
}
