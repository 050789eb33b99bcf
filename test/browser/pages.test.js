// Every page that a user can meet, in every language and theme and at every size: nothing is cut, nothing keeps people
// with assistive technology out, nothing comes from elsewhere. Each leaves its pictures in SCREENSHOTS.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { configure, corporate, launch, mdmctl, openTerms, origin, personal, SCREENSHOTS, setPolicy, signInPage,
    signInState, themes, tokenOf } from './harness.js';
import { accessible, cutText } from './judge.js';

// What is asked for, and what the page says that it is.
const languages = [['en-US', 'en'], ['de-DE', 'de'], ['fr-FR', 'fr'], ['es-ES', 'es'], ['ja-JP', 'ja'], ['zh-CN', 'zh-Hans'],
    ['ar-EG', 'ar']];
const sizes = [[1024, 768], [1920, 1080], [3840, 2160], [320, 640]];
const lanes = 2;  // pages that are judged at the same time

const terms = (url, theme) => (page, { bearer }) => openTerms(page, url, { bearer, theme });
const address = (url) => (page) => page.goto(typeof url === 'function' ? url() : url);
const links = {};
const linkTo = (device) => (links[device] ??= JSON.parse(mdmctl('compliance', 'link', device, '--json')).url);

// Back from Entra without a token. Each way back is good for one answer.
const notSignedIn = (answer) => async (page) =>
    page.goto(`${origin}/EnrollmentServer/Auth/Response?${answer}&state=${encodeURIComponent(await signInState())}`);
async function answeredTwice(page) {
    const url = `${origin}/EnrollmentServer/Auth/Response?error=access_denied&state=${encodeURIComponent(await signInState())}`;
    await page.goto(url);
    return page.goto(url);
}

async function withWrongPin(url, theme, page, { bearer }, tries = 1) {
    const answer = await openTerms(page, url, { bearer, theme });
    for (let i = 0; i < tries; ++i) {
        await page.fill('input[name=pin]', '00000000');
        await Promise.all([page.waitForResponse((r) => r.request().method() === 'POST'), page.click('button.first')]);
        await page.waitForLoadState();
    }
    return answer;
}

// A scenario: how it is opened, how many buttons and links its page has, and what is on it. `user`: not the one of all
// others. `others`: opens it in other themes, which axe judges too.
const inThemes = (url, first) => Object.keys(themes).filter((t) => t !== first).map((t) => terms(url, t));
const dark = { colorScheme: 'dark' };
const phases = [
    ['', [
        { name: 'corporate-oobe-windows10', open: terms(corporate, 'oobe-dark'), theme: 'oobe-dark', buttons: 1 },
        { name: 'corporate-oobe-windows11', open: terms(corporate, 'oobe-light'), theme: 'oobe-light', buttons: 1 },
        { name: 'corporate-settings', open: terms(corporate, 'settings'), theme: 'settings', buttons: 1 },
        { name: 'personal-settings', open: terms(personal, 'settings'), theme: 'settings', buttons: 2,
            others: inThemes(personal, 'settings') },
        { name: 'browser-light', open: terms(corporate, 'automatic'), theme: 'automatic', buttons: 1 },
        { name: 'browser-dark', open: terms(corporate, 'automatic'), theme: 'automatic', buttons: 1, media: dark },
        { name: 'refused', open: address(`${origin}/TermsOfUse`), theme: 'automatic', buttons: 0, status: 400 },
        { name: 'refused-dark', open: address(`${origin}/TermsOfUse`), theme: 'automatic', buttons: 0, status: 400, media: dark },
        { name: 'compliance-general', open: address(`${origin}/compliance?portalAction=Compliance`), buttons: 0 },
        { name: 'compliance-general-dark', open: address(`${origin}/compliance`), buttons: 0, media: dark },
        { name: 'compliance-invalid-link', open: address(`${origin}/compliance?device=AAAA.AAAA`), buttons: 0, status: 404 },
        { name: 'compliance-noncompliant', open: address(() => linkTo('DESKTOP-OLD')), buttons: 0,
            shows: ['DESKTOP-OLD', '10.0.22631.3447', '10.0.26100.1', 'Contoso baseline'] },
        { name: 'compliance-noncompliant-dark', open: address(() => linkTo('DESKTOP-OLD')), buttons: 0, media: dark },
        { name: 'compliance-compliant', open: address(() => linkTo('LAPTOP-GOOD')), buttons: 0, shows: ['LAPTOP-GOOD'] },
        { name: 'sign-in-off', open: address(signInPage), buttons: 0 },
        { name: 'sign-in-off-dark', open: address(signInPage), buttons: 0, media: dark },
        { name: 'compliance-unknown', open: address(() => linkTo('LAPTOP-NEW')), buttons: 0, shows: ['LAPTOP-NEW'] },
    ]],
    ['terms: { pin: all }', [
        { name: 'pin-asked', open: terms(corporate, 'oobe-dark'), theme: 'oobe-dark', buttons: 1, pin: true,
            others: inThemes(personal, 'oobe-dark') },
        { name: 'pin-wrong', open: (page, who) => withWrongPin(personal, 'settings', page, who), theme: 'settings', buttons: 2,
            pin: true, user: 'pin-wrong', others: ['oobe-dark', 'oobe-light', 'automatic'].map((theme) => (page, who) =>
                withWrongPin(personal, theme, page, who)) },
        { name: 'pin-locked', open: (page, who) => withWrongPin(corporate, 'oobe-light', page, who, 5), theme: 'oobe-light',
            buttons: 1, user: 'pin-locked' },
    ]],
    ['enrollment: { enabled: false }', [
        { name: 'turned-away-enrollment-off', open: terms(corporate, 'oobe-dark'), theme: 'oobe-dark', buttons: 1,
            others: inThemes(corporate, 'oobe-dark') },
    ]],
    ['enrollment: { personal_devices: block }', [
        { name: 'turned-away-personal', open: terms(personal, 'settings'), theme: 'settings', buttons: 1 },
    ]],
    ['enrollment: { allowed_groups: [99999999-0000-0000-0000-000000000000] }', [
        { name: 'turned-away-group', open: terms(corporate, 'oobe-light'), theme: 'oobe-light', buttons: 1 },
    ]],
    ['enrollment: { federated_auth: entra, enabled: false }', [
        { name: 'sign-in-enrollment-off', open: address(signInPage), buttons: 0 },
    ]],
    ['enrollment: { federated_auth: entra }', [
        { name: 'sign-in-incomplete', open: address(`${origin}/EnrollmentServer/Auth`), buttons: 0, status: 400 },
        { name: 'sign-in-foreign', open: address(`${origin}/EnrollmentServer/Auth/Response?code=a&state=b.c`), buttons: 0,
            status: 400 },
        { name: 'sign-in-answered', open: answeredTwice, buttons: 0, status: 400 },
        { name: 'sign-in-cancelled', open: notSignedIn('error=access_denied'), buttons: 0 },
        { name: 'sign-in-cancelled-dark', open: notSignedIn('error=access_denied'), buttons: 0, media: dark },
        { name: 'sign-in-not-assigned', buttons: 0, shows: ['AADSTS50105'],
            open: notSignedIn('error=access_denied&error_description=AADSTS50105%3A+not+assigned') },
        { name: 'sign-in-refused', buttons: 0, shows: ['AADSTS'], open: notSignedIn('code=of-nobody') },
    ]],
    ['enrollment: { federated_auth: entra } # maintenance', [
        { name: 'sign-in-maintenance', open: address(signInPage), buttons: 0 },
    ], () => mdmctl('maintenance', 'on'), () => mdmctl('maintenance', 'off')],
    ['# maintenance', [
        { name: 'turned-away-maintenance', open: terms(corporate, 'oobe-dark'), theme: 'oobe-dark', buttons: 1 },
    ], () => mdmctl('maintenance', 'on'), () => mdmctl('maintenance', 'off')],
    ['# grace', [
        { name: 'compliance-grace', open: address(() => linkTo('DESKTOP-OLD')), buttons: 0,
            shows: ['DESKTOP-OLD', '10.0.26100.1'] },
    ], () => setPolicy('corporate.yaml', 'compliance:', 'compliance:\n  grace_period: 24h')],
];
const only = process.env.ONLY && new RegExp(process.env.ONLY);

let browser, token;
const seen = new Map();  // scenario and language → its heading: no two languages say the same
before(async () => {
    browser = await launch();
    token = tokenOf('alice@contoso.test');
});
after(() => browser?.close());

// A page of one language, and all that went on in it.
const opened = new Map();
async function pageOf([locale, tag]) {
    if (opened.has(tag)) return opened.get(tag);
    const context = await browser.newContext({ ignoreHTTPSErrors: true, locale, viewport: { width: 1024, height: 768 },
        reducedMotion: 'reduce' });
    const page = await context.newPage();
    const asked = [];
    const complaints = [];
    page.on('request', (r) => asked.push(r.url()));
    page.on('console', (m) => ['error', 'warning'].includes(m.type()) && complaints.push(m.text()));
    page.on('pageerror', (e) => complaints.push(e.message));
    const devtools = await context.newCDPSession(page);
    const one = { context, page, tag, asked, complaints, devtools };
    opened.set(tag, one);
    return one;
}

async function judge({ page, tag, asked, complaints, devtools }, scenario) {
    asked.length = complaints.length = 0;
    const who = { bearer: scenario.user ? userOf(scenario.user, tag) : token };
    await page.emulateMedia({ colorScheme: scenario.media?.colorScheme ?? 'light' });
    const answer = await scenario.open(page, who);
    const { status = 200, buttons, shows = [], theme } = scenario;
    assert.equal(answer.status(), status);
    assert.equal(await page.getAttribute('html', 'lang'), tag);
    assert.equal(await page.getAttribute('html', 'dir'), tag === 'ar' ? 'rtl' : 'ltr');
    if (theme) assert.equal(await page.getAttribute('body', 'class'), theme);
    assert.equal(await page.locator('button, a.button').count(), buttons);
    assert.equal(await page.locator('input[name=pin]').count(), scenario.pin ? 1 : 0);
    const text = await page.textContent('main');
    for (const part of shows) assert.ok(text.includes(part), `${part} is not in: ${text}`);
    const said = text.replaceAll(/\s+/g, ' ').trim();
    assert.equal(seen.get(said) ?? tag, tag, `says the same in another language: ${said}`);
    seen.set(said, tag);
    const held = await page.evaluate(() => document.querySelectorAll('script, iframe, img').length);
    assert.equal(held, 0, 'scripts, frames, images');

    await accessible(page);
    for (const [width, height] of sizes) {
        await page.setViewportSize({ width, height });
        assert.deepEqual(await cutText(page), [], `at ${width}×${height}`);
        await picture(devtools, `${scenario.name}.${tag}.${width}x${height}`, width <= 320);
    }
    // At 200 % a window of 1280×720 is one of 640×360; the text alone is twice as large by the user's own font size.
    await page.setViewportSize({ width: 640, height: 360 });
    assert.deepEqual(await cutText(page), [], 'at 200 % zoom');
    for (const [width, height] of [[1024, 768], [1280, 720]]) {
        await page.setViewportSize({ width, height });
        const once = await page.evaluate(() => document.querySelector('h1').getBoundingClientRect().height);
        await page.evaluate(() => {
            const root = document.documentElement;
            root.style.fontSize = `${2 * parseFloat(getComputedStyle(root).fontSize)}px`;
        });
        const twice = await page.evaluate(() => document.querySelector('h1').getBoundingClientRect().height);
        assert.ok(twice >= 1.9 * once, `text follows the user's font size: ${once} to ${twice}`);
        assert.deepEqual(await cutText(page), [], `with text of 200 % at ${width}`);
        await page.evaluate(() => { document.documentElement.style.fontSize = ''; });
    }
    await page.setViewportSize({ width: 1024, height: 768 });
    for (const open of scenario.others ?? []) {
        await page.emulateMedia({ colorScheme: 'light' });
        await open(page, who);
        await accessible(page);
        if (await page.getAttribute('body', 'class') !== 'automatic') continue;
        await page.emulateMedia({ colorScheme: 'dark' });
        await accessible(page);
    }

    assert.deepEqual(asked.filter((url) => !url.startsWith(`${origin}/`)), [], 'requests to other origins');
    assert.deepEqual(complaints.filter((c) => status === 200 || !c.includes(`status of ${status}`)), []);
}

// A user with a PIN of their own, of which no try is used up.
function userOf(what, tag) {
    const user = `${what}-${tag}@contoso.test`.toLowerCase();
    const bearer = tokenOf(user);
    mdmctl('pin', 'create', user, '--json');
    return bearer;
}

// Fast rather than small: at 3840×2160 it takes a quarter of the time of WebP.
async function picture(devtools, name, whole) {
    const { cssContentSize } = whole ? await devtools.send('Page.getLayoutMetrics') : {};
    const { data } = await devtools.send('Page.captureScreenshot', { format: 'png', optimizeForSpeed: true,
        ...whole && { captureBeyondViewport: true, clip: { ...cssContentSize, scale: 1 } } });
    await fs.promises.writeFile(path.join(SCREENSHOTS, `${name}.png`), Buffer.from(data, 'base64'));
}

for (const [configuration, all, begin, end] of phases) {
    const scenarios = all.filter((s) => !only || only.test(s.name));
    if (scenarios.length === 0) continue;
    test(`pages with ${configuration || 'nothing configured'}`, async (t) => {
        await begin?.();
        await configure(configuration);
        const failures = [];
        const waiting = [...languages];
        await Promise.all(Array.from({ length: lanes }, async () => {
            for (let language; (language = waiting.shift());) {
                const one = await pageOf(language);
                for (const scenario of scenarios)
                    await judge(one, scenario).catch((e) => failures.push(`${scenario.name} in ${one.tag}: ${e.message}`));
                const cookies = await one.context.cookies();
                if (cookies.length) failures.push(`cookies: ${JSON.stringify(cookies)}`);
            }
        }));
        await end?.();
        assert.deepEqual(failures, [], failures.join('\n'));
    });
}
