// What a page is judged by, in the page itself.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { createRequire } from 'node:module';

const axe = fs.readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

export async function accessible(page, rules = {}) {
    if (!await page.evaluate(() => 'axe' in window)) await page.evaluate(axe);
    const found = await page.evaluate((r) => window.axe.run(document, { rules: r, resultTypes: ['violations'] }), rules);
    assert.deepEqual(found.violations.map((v) => `${v.id}: ${v.nodes.map((n) => `${n.html} ${n.failureSummary}`).join(' ')}`), []);
}

// What of the page's text cannot be read: outside of the window's width, outside of the box that it stands in, or cut
// off by an element that does not show what overflows it.
export const cutText = (page) => page.evaluate(() => {
    const problems = [];
    const root = document.documentElement;
    const width = root.clientWidth;
    if (root.scrollWidth > width) problems.push(`scrolls sideways: ${root.scrollWidth} in ${width}`);
    for (const e of document.body.querySelectorAll('*')) {
        const style = getComputedStyle(e);
        if (style.display === 'inline' || style.display === 'none') continue;
        if (e.tagName !== 'INPUT' && style.overflowX !== 'visible' && e.scrollWidth > e.clientWidth + 1)
            problems.push(`${e.tagName} cuts its width: ${e.scrollWidth} in ${e.clientWidth}`);
        if (e.tagName !== 'INPUT' && style.overflowY !== 'visible' && e.scrollHeight > e.clientHeight + 1)
            problems.push(`${e.tagName} cuts its height: ${e.scrollHeight} in ${e.clientHeight}`);
    }
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    const range = document.createRange();
    while (walker.nextNode()) {
        const text = walker.currentNode.data.trim();
        if (!text) continue;
        let box = walker.currentNode.parentElement;
        if (box.closest('script,style')) continue;
        while (getComputedStyle(box).display === 'inline') box = box.parentElement;
        const around = box.getBoundingClientRect();
        range.selectNodeContents(walker.currentNode);
        for (const r of range.getClientRects()) {
            if (r.left < -1 || r.right > width + 1) problems.push(`off the window at ${r.left}–${r.right} of ${width}: ${text}`);
            if (r.left < around.left - 1 || r.right > around.right + 1 || r.top < around.top - 4 || r.bottom > around.bottom + 4)
                problems.push(`out of its ${box.tagName}: ${text}`);
        }
    }
    return problems;
});

// The least contrast of any text on the page with what is behind it. Source: WCAG 2.2, relative luminance.
export const leastContrast = (page) => page.evaluate(() => {
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
