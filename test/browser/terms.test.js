// The Terms of Use as a user of Windows meets them: in a Chromium, with the token in the first request alone, and
// with the decision ending in a redirect to an address that only Windows can open.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import https from 'node:https';
import path from 'node:path';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import axe from 'axe-core';
import { chromium } from 'playwright-core';

const { WORK, SIM, MDMD_PID, PUBLIC_PORT, SCREENSHOTS } = process.env;
const origin = 'https://mdm.contoso.test';
const redirectUri = 'ms-appx-web://Microsoft.AAD.BrokerPlugin/DRS';
const outside = 'https://sign-in.example.test/';  // pages of somebody else's, made up by the test

const ctl = (...args) => execFileSync(SIM, ['tenant-ctl', '--dir', path.join(WORK, 'tenant'), ...args]).toString().trim();
function tokenOf(user) {
    ctl('users', 'add', user);
    return ctl('token', '--user', user);
}
const query = new URLSearchParams({ redirect_uri: redirectUri, 'api-version': '1.0',
    'client-request-id': '6c1de2c0-9b02-4a0b-8f5e-3f1e7d5a0c11' });
const personal = `${origin}/TermsOfUse?${query}`;
const corporate = `${personal}&mode=azureadjoin`;

let browser, token;
before(async () => {
    browser = await chromium.launch({
        executablePath: '/usr/bin/chromium',
        args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
            '--disable-component-update', '--disable-sync',
            `--host-resolver-rules=MAP mdm.contoso.test:443 127.0.0.1:${PUBLIC_PORT}, MAP * ~NOTFOUND`],
    });
    token = tokenOf('alice@contoso.test');
});
after(() => browser?.close());

// One user's session: its page, and all that the browser complained about in it.
let context, page, complaints, redirects;
async function session(options = {}) {
    await context?.close();
    context = await browser.newContext({ ignoreHTTPSErrors: true, locale: 'en-US', ...options });
    page = await context.newPage();
    complaints = [];
    redirects = [];
    await context.exposeFunction('reportViolation', (what) => complaints.push(`CSP: ${what}`));
    await context.addInitScript(() => document.addEventListener('securitypolicyviolation',
        (e) => window.reportViolation(`${e.effectiveDirective} blocked ${e.blockedURI}`)));
    // That nothing on this machine opens ms-appx-web is no fault of the page.
    const expected = /Failed to launch 'ms-appx-web:|scheme does not have a registered handler/;
    page.on('console', (m) => {
        if (['error', 'warning'].includes(m.type()) && !expected.test(m.text())) complaints.push(m.text());
    });
    page.on('pageerror', (e) => complaints.push(e.message));
    await watchRedirects(page);
}
// Of a page, or of a frame in a process of its own. The DevTools protocol tells each answer as it came, also where the
// browser goes no further.
async function watchRedirects(where) {
    const network = await context.newCDPSession(where);
    network.on('Network.responseReceivedExtraInfo', ({ statusCode, headers }) => {
        if (statusCode === 302) redirects.push(headers.Location ?? headers.location);
    });
    await network.send('Network.enable');
}
beforeEach(() => session());
afterEach(async () => {
    const held = await context.cookies();
    await context.close();
    context = undefined;
    assert.deepEqual(held, [], 'cookies');
});

// Opens the Terms as Windows does, which sends the token with the first request and never again.
async function open(url, { bearer = token, where = page } = {}) {
    await page.route(url, (route) => route.continue({ headers: { ...route.request().headers(),
        authorization: `Bearer ${bearer}` } }), { times: 1 });
    return where.goto(url);
}

// What the browser is told to do after `act`: the parameters of the address that Windows takes over.
async function decision(act) {
    await act();
    await until(() => redirects.length > 0, 'a redirect');
    await settled();
    assert.equal(redirects.length, 1, 'one redirect');
    const to = new URL(redirects[0]);
    assert.ok(redirects[0].startsWith(`${redirectUri}?`), redirects[0]);
    return to.searchParams;
}

async function until(condition, what) {
    for (const end = Date.now() + 20_000; !condition();) {
        assert.ok(Date.now() < end, `waited too long for ${what}`);
        await new Promise((done) => setTimeout(done, 20));
    }
}

// Until the browser has done what it does after an answer: a round through its own event loop.
const settled = () => page.evaluate(() => new Promise((done) => requestAnimationFrame(() => setTimeout(done, 0))));
const nothingWrong = () => assert.deepEqual(complaints, []);
const buttons = (where = page) => where.getByRole('button').allTextContents();

async function accessible(rules = {}) {
    await page.evaluate(axe.source);
    const found = await page.evaluate((r) => window.axe.run(document, { rules: r }), rules);
    assert.deepEqual(found.violations.map((v) => `${v.id}: ${v.nodes.map((n) => `${n.html} ${n.failureSummary}`).join(' ')}`), []);
}

// The least contrast of any text on the page with what is behind it. Source: WCAG 2.2, relative luminance.
const leastContrast = () => page.evaluate(() => {
    const parse = (c) => c.match(/[\d.]+/g).map(Number);
    const luminance = ([r, g, b]) => {
        const linear = [r, g, b].map((v) => v / 255).map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
    };
    const behind = (e) => {
        for (; e; e = e.parentElement) {
            const colour = parse(getComputedStyle(e).backgroundColor);
            if (colour.length === 3 || colour[3] === 1) return colour;
        }
        throw new Error('nothing opaque behind the text');
    };
    let least = { ratio: Infinity };
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
        const text = walker.currentNode.data.trim();
        if (!text) continue;
        const element = walker.currentNode.parentElement;
        const [a, b] = [luminance(parse(getComputedStyle(element).color)), luminance(behind(element))];
        const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        if (ratio < least.ratio) least = { ratio, text };
    }
    return least;
});

async function picture(name) {
    if (SCREENSHOTS) await page.screenshot({ path: path.join(SCREENSHOTS, `${name}.png`), fullPage: true });
}

test('an organization-owned device is offered Accept alone', async () => {
    const answer = await open(corporate);
    assert.equal(answer.status(), 200);
    assert.deepEqual(await buttons(), ['Accept']);
    assert.match(await page.textContent('main'), /Signed in as alice@contoso\.test/);
    await picture('corporate');
    await accessible();
    nothingWrong();
});

test('a personal device is offered Accept and Decline', async () => {
    await open(personal);
    assert.deepEqual(await buttons(), ['Accept', 'Decline']);
    await picture('personal');
    await accessible();
    nothingWrong();
});

test('the keyboard reaches Accept first, then Decline, and sees where it is', async () => {
    await open(personal);
    for (const wanted of ['Accept', 'Decline']) {
        await page.keyboard.press('Tab');
        const focused = await page.evaluate(() => {
            const { outlineStyle, outlineWidth } = getComputedStyle(document.activeElement);
            return { text: document.activeElement.textContent, outline: `${outlineStyle} ${outlineWidth}` };
        });
        assert.deepEqual(focused, { text: wanted, outline: 'solid 3px' });
    }
    const parameters = await decision(() => page.keyboard.press('Enter'));
    assert.equal(parameters.get('IsAccepted'), 'false');
    nothingWrong();
});

for (const [kind, url] of [['corporate', corporate], ['personal', personal]])
    test(`accepting on a ${kind} device sends Windows back with a blob`, async () => {
        await open(url);
        const parameters = await decision(() => page.getByRole('button', { name: 'Accept' }).click());
        assert.equal(parameters.get('IsAccepted'), 'true');
        assert.match(parameters.get('OpaqueBlob'), /^[\w-]{20,}$/);
        nothingWrong();
    });

test('declining sends Windows back without a blob', async () => {
    await open(personal);
    const parameters = await decision(() => page.getByRole('button', { name: 'Decline' }).click());
    assert.equal(parameters.get('IsAccepted'), 'false');
    assert.equal(parameters.get('OpaqueBlob'), null);
    nothingWrong();
});

test('a form-action without the scheme would stop the browser, and this test would see it', async () => {
    const answer = await new Promise((done, failed) => https.get(personal, { hostname: '127.0.0.1', port: PUBLIC_PORT,
        servername: 'mdm.contoso.test', rejectUnauthorized: false,
        headers: { host: 'mdm.contoso.test', authorization: `Bearer ${token}` } }, done).on('error', failed));
    const body = Buffer.concat(await answer.toArray());
    const policy = answer.headers['content-security-policy'];
    assert.match(policy, / ms-appx-web:;/);
    await page.route(personal, (route) => route.fulfill({ body, headers: { ...answer.headers,
        'content-security-policy': policy.replace(' ms-appx-web:', '') } }), { times: 1 });
    await page.goto(personal);
    await decision(() => page.getByRole('button', { name: 'Accept' }).click());
    await until(() => complaints.some((c) => /form-action/.test(c)), 'the browser to complain of form-action');
});

test('the second answer to one page is refused with a page that reads well, and Back leads to the Terms', async () => {
    await open(personal);
    await decision(() => page.getByRole('button', { name: 'Accept' }).click());
    nothingWrong();
    await page.getByRole('button', { name: 'Accept' }).click();
    await page.waitForSelector('text=This page has been answered already.');
    await accessible();
    await picture('refused');
    complaints = complaints.filter((c) => !/status of 400/.test(c));
    nothingWrong();
    await page.route(personal, (route) => route.continue({ headers: { ...route.request().headers(),
        authorization: `Bearer ${token}` } }), { times: 1 });
    await page.goBack();
    assert.deepEqual(await buttons(), ['Accept', 'Decline']);
});

test('Back leaves the Terms without a question', async () => {
    await page.route(outside, (route) => route.fulfill({ contentType: 'text/html', body: '<title>Before</title>' }));
    await page.goto(outside);
    await open(personal);
    await page.goBack();
    assert.equal(await page.title(), 'Before');
    nothingWrong();
});

test('without a token Windows is sent back with the error that it knows', async () => {
    await page.goto(personal).catch(() => {});  // the browser cannot open where it leads
    await until(() => redirects.length > 0, 'a redirect');
    assert.match(redirects[0], /^ms-appx-web:\/\/.*\?error=unauthorized_client&error_description=/);
});

test('a page 320 pixels wide never scrolls sideways, whatever the name', async () => {
    await session({ viewport: { width: 320, height: 640 } });
    await open(personal, { bearer: tokenOf(`${'verylongname'.repeat(5)}@contoso.test`) });
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 320);
    for (const button of await page.getByRole('button').all()) {
        const box = await button.boundingBox();
        assert.ok(box.x >= 0 && box.x + box.width <= 320 && box.height >= 44, JSON.stringify(box));
    }
    await picture('narrow');
    nothingWrong();
});

for (const options of [{ colorScheme: 'light' }, { colorScheme: 'dark' }, { forcedColors: 'active' },
    { forcedColors: 'active', colorScheme: 'dark' }])
    test(`text has a contrast of 4.5 or more with ${JSON.stringify(options)}`, async () => {
        await session(options);
        await open(personal);
        const least = await leastContrast();
        assert.ok(least.ratio >= 4.5, JSON.stringify(least));
        // In forced colours axe judges -webkit-text-fill-color, which does not tell the colour that is painted.
        await accessible({ 'color-contrast': { enabled: !options.forcedColors } });
        await picture(`scheme-${Object.values(options).join('-')}`);
        nothingWrong();
    });

test('the Terms work inside a frame of another origin, as Windows 11 shows them', async () => {
    const html = `<!DOCTYPE html><title>Outside</title><iframe name="terms" title="Terms" width="600" height="600"></iframe>`;
    await page.route(outside, (route) => route.fulfill({ contentType: 'text/html', body: html }));
    await page.goto(outside);
    const frame = page.frame({ name: 'terms' });
    await open(personal, { where: frame });
    await watchRedirects(frame);
    assert.deepEqual(await buttons(frame), ['Accept', 'Decline']);
    const parameters = await decision(() => frame.getByRole('button', { name: 'Accept' }).click());
    assert.equal(parameters.get('IsAccepted'), 'true');
    nothingWrong();
});

test('an address that is not complete gets a page that reads well', async () => {
    const answer = await page.goto(`${origin}/TermsOfUse`);
    assert.equal(answer.status(), 400);
    assert.equal(await page.textContent('h1'), 'This page cannot be shown');
    await accessible();
    assert.deepEqual(complaints.filter((c) => !/status of 400/.test(c)), []);
});

// The last one, since the daemon keeps this configuration.
test('whoever may not enroll reads why, and Continue leads back to Windows', async () => {
    const taken = () => fs.readFileSync(path.join(WORK, 'mdmd.log'), 'utf8').split('configuration taken').length;
    const before = taken();
    fs.appendFileSync(path.join(WORK, 'config.yaml'), 'enrollment: { personal_devices: block }\n');
    process.kill(Number(MDMD_PID), 'SIGHUP');
    await until(() => taken() > before, 'the daemon to take the configuration');
    await open(personal);
    assert.match(await page.textContent('main'), /Personal devices are not accepted/);
    await accessible();
    await picture('turned-away');
    const next = page.getByRole('link', { name: 'Continue' });
    assert.match(await next.getAttribute('href'), /^ms-appx-web:.*[?]error=unauthorized_client/);
    await next.click();
    await settled();
    nothingWrong();
});
