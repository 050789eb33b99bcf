// The Terms of Use as a user of Windows meets them: in a Chromium, with the token in the first request alone, and
// with the decision ending in a redirect to an address that only Windows can open.
import assert from 'node:assert/strict';
import https from 'node:https';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { configure, corporate, launch, mdmctl, openTerms, origin, outside, outsider, personal, PUBLIC_PORT, redirectUri,
    tokenOf, until } from './harness.js';
import { accessible, cutText, leastContrast } from './judge.js';

let browser, token, strange;
before(async () => {
    await configure();
    strange = await outsider({ '/frame': `<!DOCTYPE html><html lang="en"><title>Outside</title><h1>Outside</h1>
<iframe name="terms" title="Terms" width="600" height="600"></iframe></html>` });
    browser = await launch(strange.port);
    token = tokenOf('alice@contoso.test');
});
after(async () => {
    await browser?.close();
    strange?.close();
});

// One user's session: its page, all that the browser complained about in it, what it was sent to (redirects), where it
// went of Windows' own addresses (launches) and elsewhere (asked).
let context, page, complaints, redirects, launches, asked;
async function session(options = {}) {
    await context?.close();
    context = await browser.newContext({ ignoreHTTPSErrors: true, locale: 'en-US', ...options });
    page = await context.newPage();
    complaints = [];
    redirects = [];
    launches = [];
    asked = [];
    context.on('request', (r) => (r.url().startsWith('ms-appx-web:') ? launches : asked).push(r.url()));
    if (options.javaScriptEnabled !== false) {
        await context.exposeFunction('reportViolation', (what) => complaints.push(`CSP: ${what}`));
        await context.addInitScript(() => document.addEventListener('securitypolicyviolation',
            (e) => window.reportViolation(`${e.effectiveDirective} blocked ${e.blockedURI}`)));
    }
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
    const elsewhere = asked.filter((url) => !url.startsWith(`${origin}/`) && !url.startsWith(`${outside}/`));
    assert.deepEqual(elsewhere, [], 'requests to other origins');
});

const open = (url, options = {}) => openTerms(page, url, { bearer: token, ...options });

// What the browser is told to do after `act`: the parameters of the address that Windows takes over.
async function decision(act) {
    redirects.length = launches.length = 0;
    await act();
    await until(() => redirects.length > 0, 'a redirect');
    await until(() => launches.length > 0 || complaints.length > 0, 'the browser to go where it is sent');
    assert.equal(redirects.length, 1, 'one redirect');
    assert.ok(redirects[0].startsWith(`${redirectUri}?`), redirects[0]);
    return new URL(redirects[0]).searchParams;
}
// The same where the browser must have gone there.
async function followed(act) {
    const parameters = await decision(act);
    nothingWrong();
    assert.deepEqual(launches, redirects, 'navigations to Windows');
    return parameters;
}

const nothingWrong = () => assert.deepEqual(complaints, []);
const buttons = (where = page) => where.getByRole('button').allTextContents();
const button = (name, where = page) => where.getByRole('button', { name });
// An answer of 400 is one that the console tells of.
const refused = async (text) => {
    await page.waitForSelector(`text=${text}`);
    assert.deepEqual(complaints.filter((c) => !/status of 400/.test(c)), []);
    complaints = [];
};

test('an organization-owned device is offered Accept alone', async () => {
    const answer = await open(corporate, { theme: 'oobe-dark' });
    assert.equal(answer.status(), 200);
    assert.deepEqual(await buttons(), ['Accept']);
    assert.match(await page.textContent('main'), /Signed in as alice@contoso\.test/);
    nothingWrong();
});

test('a personal device is offered Accept and Decline', async () => {
    await open(personal, { theme: 'settings' });
    assert.deepEqual(await buttons(), ['Accept', 'Decline']);
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
    const parameters = await followed(() => page.keyboard.press('Enter'));
    assert.equal(parameters.get('IsAccepted'), 'false');
});

test('Tab and Enter alone accept', async () => {
    await open(corporate);
    await page.keyboard.press('Tab');
    const parameters = await followed(() => page.keyboard.press('Enter'));
    assert.equal(parameters.get('IsAccepted'), 'true');
});

for (const [kind, url] of [['corporate', corporate], ['personal', personal]])
    test(`accepting on a ${kind} device sends Windows back with a blob`, async () => {
        await open(url);
        const parameters = await followed(() => button('Accept').click());
        assert.equal(parameters.get('IsAccepted'), 'true');
        assert.match(parameters.get('OpaqueBlob'), /^[\w-]{20,}$/);
    });

test('declining sends Windows back without a blob', async () => {
    await open(personal);
    const parameters = await followed(() => button('Decline').click());
    assert.equal(parameters.get('IsAccepted'), 'false');
    assert.equal(parameters.get('OpaqueBlob'), null);
});

for (const [name, url, accepted] of [['Accept', personal, 'true'], ['Accept', corporate, 'true'],
    ['Decline', personal, 'false']])
    test(`${name} inside a frame of another origin, as Windows 11 shows the ${url === personal ? 'personal' : 'corporate'} Terms`, async () => {
        await page.goto(`${outside}/frame`);
        const frame = page.frame({ name: 'terms' });
        await open(url, { where: frame, theme: 'oobe-light' });
        await watchRedirects(frame);
        assert.deepEqual(await buttons(frame), url === personal ? ['Accept', 'Decline'] : ['Accept']);
        assert.equal(await frame.evaluate(() => location.origin), origin);
        const parameters = await followed(() => button(name, frame).click());
        assert.equal(parameters.get('IsAccepted'), accepted);
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
    await decision(() => button('Accept').click());
    await until(() => complaints.some((c) => /form-action/.test(c)), 'the browser to complain of form-action');
    assert.deepEqual(launches, []);
});

test('without JavaScript everything works', async () => {
    await session({ javaScriptEnabled: false });
    await open(personal, { theme: 'settings' });
    assert.deepEqual(await buttons(), ['Accept', 'Decline']);
    const parameters = await followed(() => button('Accept').click());
    assert.equal(parameters.get('IsAccepted'), 'true');
});

test('the second answer to one page is refused with a page that reads well, and Back leads to the Terms', async () => {
    await open(personal);
    await followed(() => button('Accept').click());
    await button('Accept').click();
    await refused('This page has been answered already.');
    await accessible(page);
    await page.route(personal, (route) => route.continue({ headers: { ...route.request().headers(),
        authorization: `Bearer ${token}` } }), { times: 1 });
    await page.goBack();
    assert.deepEqual(await buttons(), ['Accept', 'Decline']);
});

const stateOf = () => page.inputValue('input[name=state]');
const decoded = (state) => Buffer.from(state.split('.')[0], 'base64url').toString();
// Answers with another state than the page's.
async function answerWith(state) {
    await open(personal);
    await page.evaluate((s) => { document.querySelector('input[name=state]').value = s; }, state);
    await button('Accept').click();
}
for (const [what, forge] of [
    ['with another user in it', (alice, bob) => `${Buffer.from(decoded(alice).replace(/user=[^&]*/,
        /user=[^&]*/.exec(decoded(bob))[0])).toString('base64url')}.${alice.split('.')[1]}`],
    ['with the seal of another user\'s', (alice, bob) => `${alice.split('.')[0]}.${bob.split('.')[1]}`],
    ['for a corporate device instead of a personal one', (alice) => `${Buffer.from(decoded(alice).replace('owner=personal',
        'owner=corporate')).toString('base64url')}.${alice.split('.')[1]}`],
    ['without a seal', (alice) => alice.split('.')[0]],
    ['that is empty', () => ''],
])
    test(`a state ${what} is refused`, async () => {
        await open(personal);
        const alice = await stateOf();
        assert.match(decoded(alice), /user=/);
        await open(personal, { bearer: tokenOf('bob@contoso.test') });
        const bob = await stateOf();
        const forged = forge(alice, bob);
        assert.notEqual(forged, alice);
        await answerWith(forged);
        await refused('This answer does not belong to a page that was shown.');
        assert.deepEqual(redirects, []);
    });

test('Back leaves the Terms without a question, and Forward comes back', async () => {
    await page.goto(`${outside}/`);
    await open(personal);
    await page.goBack();
    assert.equal(await page.title(), 'Before');
    await page.route(personal, (route) => route.continue({ headers: { ...route.request().headers(),
        authorization: `Bearer ${token}` } }), { times: 1 });
    await page.goForward();
    assert.deepEqual(await buttons(), ['Accept', 'Decline']);
    const parameters = await followed(() => button('Accept').click());
    assert.equal(parameters.get('IsAccepted'), 'true');
});

test('without a token Windows is sent back with the error that it knows', async () => {
    await page.goto(personal).catch(() => {});  // the browser cannot open where it leads
    await until(() => redirects.length > 0, 'a redirect');
    assert.match(redirects[0], /^ms-appx-web:\/\/.*\?error=unauthorized_client&error_description=/);
});

test('a page 320 pixels wide never scrolls sideways, whatever the name', async () => {
    await session({ viewport: { width: 320, height: 640 } });
    await open(personal, { bearer: tokenOf(`${'verylongname'.repeat(5)}@contoso.test`) });
    assert.deepEqual(await cutText(page), []);
    for (const one of await page.getByRole('button').all()) {
        const box = await one.boundingBox();
        assert.ok(box.x >= 0 && box.x + box.width <= 320 && box.height >= 44, JSON.stringify(box));
    }
    nothingWrong();
});

for (const [theme, options] of [['automatic', { colorScheme: 'light' }], ['automatic', { colorScheme: 'dark' }],
    ['oobe-dark', {}], ['oobe-light', {}], ['settings', { colorScheme: 'dark' }], ['automatic', { forcedColors: 'active' }],
    ['oobe-dark', { forcedColors: 'active', colorScheme: 'dark' }], ['settings', { forcedColors: 'active' }]])
    test(`text has a contrast of 4.5 or more in ${theme} with ${JSON.stringify(options)}`, async () => {
        await session(options);
        await open(personal, { theme });
        const least = await leastContrast(page);
        assert.ok(least.ratio >= 4.5, JSON.stringify(least));
        // In forced colours axe judges -webkit-text-fill-color, which does not tell the colour that is painted.
        await accessible(page, { 'color-contrast': { enabled: !options.forcedColors } });
        for (const one of await page.getByRole('button').all()) {
            const border = await one.evaluate((e) => getComputedStyle(e).borderTopStyle);
            assert.equal(border, 'solid', 'a button that one can see');
        }
        nothingWrong();
    });

test('Arabic runs from right to left: Accept is on the right, and the text begins there', async () => {
    await session({ locale: 'ar-EG' });
    await open(personal);
    assert.equal(await page.getAttribute('html', 'dir'), 'rtl');
    const [accept, decline] = await Promise.all((await page.getByRole('button').all()).map((b) => b.boundingBox()));
    assert.ok(accept.x > decline.x, 'Accept is on the right');
    const main = await page.locator('main').boundingBox();
    const first = await page.evaluate(() => {
        const range = document.createRange();
        range.selectNodeContents(document.querySelector('h1'));
        return range.getClientRects()[0].right;
    });
    assert.ok(main.x + main.width - first < 40, 'the heading begins on the right');
    const item = await page.locator('li').first().boundingBox();
    const list = await page.locator('ul').first().boundingBox();
    assert.ok(item.x + item.width < list.x + list.width - 10, 'bullets are on the right');
    nothingWrong();
});

test('an address that is not complete gets a page that reads well', async () => {
    const answer = await page.goto(`${origin}/TermsOfUse`);
    assert.equal(answer.status(), 400);
    assert.equal(await page.textContent('h1'), 'This page cannot be shown');
    await accessible(page);
    assert.deepEqual(complaints.filter((c) => !/status of 400/.test(c)), []);
});

test('a stranger gets no device\'s name from the compliance page, and a forged link no more than an expired one', async () => {
    const answer = await page.goto(`${origin}/compliance?portalAction=Compliance`);
    assert.equal(answer.status(), 200);
    assert.doesNotMatch(await page.content(), /DESKTOP-OLD|LAPTOP|baseline/i);
    const forged = await page.goto(`${origin}/compliance?device=AAAA.AAAA`);
    assert.equal(forged.status(), 404);
    const text = await page.content();
    assert.match(text, /not valid any more/);
    const link = JSON.parse(mdmctl('compliance', 'link', 'DESKTOP-OLD', '--ttl', '1s', '--json'));
    assert.ok(link.url.startsWith(`${origin}/compliance?device=`), link.url);
    await until(() => Date.parse(link.expires) < Date.now(), 'the link to expire');
    await page.goto(link.url);
    assert.equal(await page.content(), text);
    complaints = complaints.filter((c) => !/status of 404/.test(c));
    nothingWrong();
});

test('the compliance page is not shown inside a frame', async () => {
    await page.goto(`${outside}/frame`);
    await page.frame({ name: 'terms' }).goto(`${origin}/compliance`).catch(() => {});
    await until(() => complaints.some((c) => /frame-ancestors/.test(c)), 'the browser to refuse the frame');
});

test('whoever may not enroll reads why, and Continue leads back to Windows', async () => {
    await configure('enrollment: { personal_devices: block }');
    await open(personal);
    assert.match(await page.textContent('main'), /Personal devices are not accepted/);
    const next = page.getByRole('link', { name: 'Continue' });
    assert.match(await next.getAttribute('href'), /^ms-appx-web:.*[?]error=unauthorized_client/);
    await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    await until(() => launches.length > 0, 'the browser to go where it is sent');
    assert.match(launches[0], /error=unauthorized_client/);
    nothingWrong();
    await configure();
});

test('a PIN is asked for and checked without any script, and a page once shown goes on after a wrong one', async () => {
    await configure('terms: { pin: all }');
    const { pin } = JSON.parse(mdmctl('pin', 'create', 'alice@contoso.test', '--json'));
    await session({ javaScriptEnabled: false });
    await open(corporate, { theme: 'oobe-dark' });
    const field = page.getByRole('textbox');
    assert.notEqual(await field.getAttribute('type'), 'password');
    await page.keyboard.press('Tab');
    await page.keyboard.type('00000000');
    await page.keyboard.press('Enter');
    await page.waitForSelector('text=This PIN is not valid.');
    assert.equal(await page.getAttribute('body', 'class'), 'oobe-dark', 'the theme stays');
    assert.deepEqual(redirects, []);
    await page.getByRole('textbox').fill(pin);
    const parameters = await followed(() => button('Accept').click());
    assert.equal(parameters.get('IsAccepted'), 'true');
    await configure();
});
