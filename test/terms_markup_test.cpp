// The customer's texts: what comes through, and what is told about the rest.
#include "core/text.hpp"
#include "crypto/crypto.hpp"
#include "terms/library.hpp"
#include "test/support.hpp"

using namespace mdmd;
using terms::ownership;
using terms::theme;

namespace {

std::string told(terms::markup const& m) {
    std::string out;
    for (auto p : m.problems) {
        p.path = "f";
        out += (out.empty() ? "" : "\n") + p.line_text();
    }
    return out;
}

}  // namespace

TEST_CASE("HTML of text and structure comes through", "[terms][markup]") {
    auto const [source, expected] = GENERATE(table<std::string, std::string>({
        {"<p>Hello</p>", "<p>Hello</p>"},
        {"\xef\xbb\xbf<p>a &lt; b &amp; &eacute;&nbsp;c",
            "<p>a &lt; b &amp; \xc3\xa9\xc2\xa0"
            "c</p>"},
        {"<h1>T</h1><ul><li>a<li>b</ul>", "<h1>T</h1><ul><li>a</li><li>b</li></ul>"},
        {"<dl><dt>a<dd>b<p>c<dt>d</dl>", "<dl><dt>a</dt><dd>b<p>c</p></dd><dt>d</dt></dl>"},
        {"<table><tr><th scope=col>a<td colspan='2'>b<tr><td>c</table>",
            "<table><tbody><tr><th scope=\"col\">a</th><td colspan=\"2\">b</td></tr><tr><td>c</td></tr></tbody></table>"},
        {"<P CLASS=\"x y\" LANG=de DIR=rtl>a<BR/>b</P>", "<p class=\"x y\" lang=\"de\" dir=\"rtl\">a<br>b</p>"},
        {"<p>a<!-- <script> -->b</p>", "<p>ab</p>"},
        {"<!DOCTYPE html><html lang=de><head><meta charset=utf-8><title>x <b> y</title></head><body><p>a</p></body></html>",
            "<p>a</p>"},
        {"<p>See <a href=\"https://x.example/?a=1&amp;b=2\">our site</a></p>",
            "<p>See <span>our site (<bdi dir=\"ltr\">https://x.example/?a=1&amp;b=2</bdi>)</span></p>"},
        {"<a href=\"mailto:it@x.example?subject=1\">it@x.example</a>", "<span>it@x.example</span>"},
        {"<p>{organization} {user} {x} &lt;script&gt;</p>", "<p>{organization} {user} {x} &lt;script&gt;</p>"},
        {"<ruby>\xe6\xbc\xa2<rp>(<rt>kan<rp>)</ruby>", "<ruby>\xe6\xbc\xa2<rp>(</rp><rt>kan</rt><rp>)</rp></ruby>"},
        {"a < b", "a &lt; b"},
    }));
    CAPTURE(source);
    auto const got = terms::compile_html(source);
    CHECK(told(got) == "");
    CHECK(trim(got.html) == expected);
}

TEST_CASE("what is not allowed in HTML is told with its place", "[terms][markup][security]") {
    auto const [source, expected] = GENERATE(table<std::string, std::string>({
        {"<p>a</p>\n  <script>if (a<b) x()</script>", "f:2:3: expected text or one of its elements, got <script>"},
        {"\xc3\xa4\xc3\xb6<img src=x>", "f:1:3: expected text or one of its elements, got <img>"},
        {"<p onclick=\"x()\">a</p>", "f:1:4: expected no such attribute, got 'onclick' in <p>"},
        {"<p style='x' id=y>a</p>",
            "f:1:4: expected no such attribute, got 'style' in <p>\nf:1:14: expected no such attribute, got 'id' in <p>"},
        {"<a href=\"javascript:x()\">a</a>", "f:1:4: expected an https or mailto address, got href='javascript:x()'"},
        {"<a href=\"http://x\">a</a>", "f:1:4: expected an https or mailto address, got href='http://x'"},
        {"<a href=\"https://x\" target=_blank>a</a>", "f:1:21: expected no such attribute, got 'target' in <a>"},
        {"<a href='https://x'><a href='https://y'>b</a></a>", "f:1:21: expected no link within a link"},
        {"<form><input></form>",
            "f:1:1: expected text or one of its elements, got <form>\nf:1:7: expected text or one of its elements, got "
            "<input>\nf:1:14: expected text or one of its elements, got </form>"},
        {"<svg/onload=x()>a", "f:1:1: expected text or one of its elements, got <svg>"},
        {"<html><head><style>p{}</style></head><body>a", "f:1:13: expected text or one of its elements, got <style>"},
        {"<body onload=x()>a", "f:1:7: expected no such attribute, got 'onload' in <body>"},
        {"<meta http-equiv=refresh content=0>a", "f:1:7: expected no such attribute, got 'http-equiv' in <meta>"},
        {"<iframe src=x></iframe>a", "f:1:1: expected text or one of its elements, got <iframe>"},
        {"<b>a", "f:1:1: expected </b> before the end"},
        {"<b><i>a</b></i>", "f:1:8: expected </i> first, got </b>\nf:1:1: expected </b> before the end"},
        {"a</div>", "f:1:2: expected no end of <div>, which is not open"},
        {"a</br>", "f:1:2: expected no end of <br>, which is not open"},
        {"<p>a<b", "f:1:5: expected '>' before the end"},
        {"<tr><td>a</td></tr>", "f:1:1: expected another place for <tr>\nf:1:5: expected another place for <td>"},
        {"<p>a</p><?php x ?>", "f:1:9: expected an element or text, got '<?'"},
        {"<p lang=german>a</p>", "f:1:4: expected a language tag such as de, got lang='german'"},
        {"", "f: expected a text, got nothing to read"},
        {"<p> \n </p><!-- a -->", "f: expected a text, got nothing to read"},
        {"a\nb\xff", "f:2:1: expected UTF-8, got other bytes in this line"},
        {std::string("a\0b", 3), "f:1:2: expected text, got a control character"},
        {std::string(256 * 1024 + 1, 'a'), "f: expected at most 256 KiB, got 257"},
    }));
    CAPTURE(source.substr(0, 100));
    auto got = terms::compile_html(source);
    // By place; here as they are found.
    auto lines = split(expected, '\n');
    std::string all = told(got);
    CHECK(split(all, '\n').size() == lines.size());
    for (auto const line : lines) {
        CAPTURE(line);
        CHECK(("\n" + all + "\n").find("\n" + std::string(line) + "\n") != std::string::npos);
    }
}

TEST_CASE("nesting has an end", "[terms][markup][security]") {
    for (auto const* tag : {"<b>", "<div>", "<table><tr><td>", "<blockquote>", "<ul><li>"}) {
        std::string deep;
        while (deep.size() < 200'000) deep += tag;
        auto const got = terms::compile_html(deep + "a");
        REQUIRE_FALSE(got.problems.empty());
        CHECK(got.problems.size() <= 101);
    }
    std::string quotes(100'000, '>');
    CHECK_FALSE(terms::compile_markdown(quotes + "a").problems.empty());
}

TEST_CASE("Markdown becomes HTML", "[terms][markup]") {
    auto const got = terms::compile_markdown(
        "# Title\n\nA *b* **c** `d` & <!-- not shown -->\n\n1. x\n2. y\n\n> q\n\n"
        "[IT](https://x.example/a?b&c \"t\") <mailto:it@x.example>\n\n```js\ncode <b>\n```\n");
    CHECK(told(got) == "");
    CHECK(got.has_title);
    CHECK(got.html.find("<h1>Title</h1>") != got.html.npos);
    CHECK(got.html.find("A <em>b</em> <strong>c</strong> <code>d</code> &amp; ") != got.html.npos);
    CHECK(got.html.find("<ol>\n<li>x</li>\n<li>y</li>\n</ol>") != got.html.npos);
    CHECK(got.html.find("IT (<bdi dir=\"ltr\">https://x.example/a?b&amp;c</bdi>)") != got.html.npos);
    CHECK(got.html.find("<pre><code>code &lt;b&gt;") != got.html.npos);
    CHECK(got.html.find("not shown") == got.html.npos);
}

TEST_CASE("what Markdown must not hold is told with its place", "[terms][markup][security]") {
    auto const [source, expected] = GENERATE(table<std::string, std::string>({
        {"a\n\n<script>x</script>", "f:3:1: expected Markdown, got HTML: <script>x</script>"},
        {"a <b>b</b>", "f:1:3: expected Markdown, got HTML: <b>"},
        {"![x](y.png)", "f:1:1: expected text, got an image"},
        {"[x](javascript:a)", "f:1:1: expected an https or mailto address, got href='javascript:a'"},
        {"[x](http://a)", "f:1:1: expected an https or mailto address, got href='http://a'"},
        {"\n \n", "f: expected a text, got nothing to read"},
        {"a\xff", "f:1:1: expected UTF-8, got other bytes in this line"},
    }));
    CAPTURE(source);
    auto const all = told(terms::compile_markdown(source));
    CHECK(all.substr(0, all.find('\n')) == expected);
}

namespace {

constexpr char group_a[] = "aaaaaaaa-0000-0000-0000-000000000000";
constexpr char group_b[] = "bbbbbbbb-0000-0000-0000-000000000000";

terms::library library(std::vector<terms::source_file> const& files) {
    auto made = terms::library::compile(files);
    for (auto const& p : made.problems) FAIL_CHECK(p.line_text());
    return std::move(made.value);
}

}  // namespace

TEST_CASE("a text is chosen by group, then language, then what there is", "[terms][library]") {
    auto const all = library({{"de/corporate.md", "D"}, {"en/corporate.html", "E"}, {"FR/Corporate.MD", "F"},
        {std::string("de/corporate@") + group_a + ".md", "DA"}, {std::string("en/corporate@") + group_b + ".md", "EB"},
        {std::string("ja/corporate@") + group_b + ".md", "JB"}, {"nl/personal.md", "N"}});
    CHECK(all.has_variants());
    using groups = std::set<std::string>;
    using list = std::vector<std::string>;
    auto const [in, speaks, expected] = GENERATE(table<groups, list, std::string>({
        {{}, {"de-AT"}, "D"},
        {{}, {"it", "fr"}, "F"},
        {{}, {"it"}, "E"},
        {{}, {}, "E"},
        {{"cccccccc-0000-0000-0000-000000000000"}, {"de"}, "D"},
        {{group_a}, {"fr"}, "DA"},
        {{group_b}, {"ja"}, "JB"},
        {{group_b}, {"fr"}, "EB"},
        {{group_a, group_b}, {"ja"}, "DA"},
    }));
    CAPTURE(in, speaks);
    auto const& got = all.choose(ownership::corporate, in, speaks);
    CHECK(trim(got.html).find((expected.size() == 1 && expected != "E" ? "<p>" + expected : expected)) !=
          std::string::npos);
    CHECK(got.version == hex(crypto::sha256(expected)).substr(0, 12));
    CHECK(all.find(ownership::corporate, got.version, got.language) == &got);
    CHECK(all.find(ownership::personal, got.version, got.language) == nullptr);
    // One text is all there is for personal devices: it goes before the built-in one.
    CHECK(all.choose(ownership::personal, in, speaks).language == "nl");
}

TEST_CASE("where the customer wrote nothing the built-in text stands, in the user's language", "[terms][library]") {
    auto const all = library({{"de/corporate.md", "D"}});
    CHECK_FALSE(all.has_variants());
    auto const& got = all.choose(ownership::personal, {}, {"fr-CA"});
    CHECK(got.built_in);
    CHECK(got.language == "fr");
    CHECK(all.find(ownership::personal, got.version, "fr") == &got);
}

TEST_CASE("a changed text has a new version", "[terms][library]") {
    auto const a = library({{"de/corporate.md", "D"}}).choose(ownership::corporate, {}, {"de"}).version;
    auto const b = library({{"de/corporate.md", "D."}}).choose(ownership::corporate, {}, {"de"}).version;
    CHECK(a.size() == 12);
    CHECK(a != b);
}

TEST_CASE("a file that means nothing is told", "[terms][library]") {
    auto const path = GENERATE(values<std::string>({"README.md", "de/other.md", "de/corporate.txt", "de/corporate",
        "german/corporate.md", "corporate.md", "de/x/corporate.md", "de/corporate@x.md", "de/corporate@.md",
        "de/corporate.md.html", "css/x.js", "css/a b.css", "css/x", "fonts/\xc3\xa4.ttf", "js/x.css"}));
    CAPTURE(path);
    auto const made = terms::library::compile({{path, "x"}});
    REQUIRE(made.problems.size() == 1);
    CHECK(made.problems[0].path == printable(path));
    CHECK(made.problems[0].text.starts_with("expected "));
}

TEST_CASE("two files for one text are told, and so is what is wrong within one", "[terms][library]") {
    auto const made = terms::library::compile({{"de/corporate.md", "D"}, {"DE/corporate.html", "D"}, {"css/a.css", ""},
        {"CSS/A.css", ""}, {"de/personal.html", "<p>\n<script></script>"}});
    REQUIRE(made.problems.size() == 3);
    CHECK(
        made.problems[0].line_text() == "DE/corporate.html: expected one file for each text, got de/corporate.md too");
    CHECK(made.problems[1].line_text() == "CSS/A.css: expected each name once, without regard to case");
    CHECK(made.problems[2].line_text() == "de/personal.html:2:1: expected text or one of its elements, got <script>");
}

TEST_CASE("Microsoft's style sheets are chosen by theme, others are all taken", "[terms][library]") {
    auto const names = [](terms::library const& l, theme t) {
        std::string out;
        for (auto const* a : l.style_sheets(t)) out += a->path + " ";
        return out;
    };
    auto const whole = library({{"css/UI-Dark.css", ""}, {"css/ui-light.css", ""}, {"css/oobe-desktop.css", ""},
        {"css/OOBE-light.css", ""}, {"css/settings-desktop.css", ""}, {"css/oobe-mobile.css", ""}});
    CHECK(names(whole, theme::oobe_dark) == "css/UI-Dark.css css/oobe-desktop.css ");
    CHECK(names(whole, theme::oobe_light) == "css/ui-light.css css/OOBE-light.css ");
    CHECK(names(whole, theme::settings) == "css/ui-light.css css/settings-desktop.css ");
    CHECK(names(whole, theme::automatic) == "css/ui-light.css css/settings-desktop.css ");
    auto const older = library({{"css/Ui-dark.css", ""}, {"css/Ui-light.css", ""}, {"css/oobe-desktop.css", ""}});
    CHECK(names(older, theme::oobe_light) == "css/Ui-dark.css css/oobe-desktop.css ");
    auto const own = library({{"css/b.css", ""}, {"css/A.css", ""}, {"images/x.css", ""}});
    CHECK(names(own, theme::oobe_dark) == "css/A.css css/b.css ");
    CHECK(names(terms::library(), theme::oobe_dark).empty());
}

TEST_CASE("a page with the customer's style refers to it, and the policy lets it through", "[terms][library]") {
    auto const all = library({{"css/own.css", "p{}"}, {"fonts/x.woff2", "\xff"}});
    terms::form_state s;
    s.from.redirect_uri = "ms-appx-web://a";
    auto const r = terms::page(
        {.look = theme::settings, .texts = &all, .organization = "c"}, s, "s", all.choose(ownership::personal, {}, {}));
    CHECK(r.body.find("<link rel=\"stylesheet\" href=\"/TermsOfUse/css/own.css\">") != r.body.npos);
    CHECK(r.body.find("<style") == r.body.npos);
    auto const policy = std::string(r.headers.get("Content-Security-Policy").value());
    CHECK(policy ==
          "default-src 'none'; style-src 'self'; img-src 'self'; font-src 'self'; form-action 'self' "
          "ms-appx-web:; base-uri 'none'");
}

TEST_CASE("known assets are served as what they are, and nothing else is", "[terms][library][security]") {
    auto const all = library({{"css/own.css", "p{}"}, {"fonts/x.woff2", "\xff"}, {"de/corporate.md", "D"}});
    auto const style = terms::asset_response(all, "CSS/OWN.css");
    CHECK(style.status == 200);
    CHECK(style.body == "p{}");
    CHECK(style.headers.get("Content-Type") == "text/css; charset=utf-8");
    CHECK(style.headers.get("X-Content-Type-Options") == "nosniff");
    CHECK(terms::asset_response(all, "fonts/x.woff2").headers.get("Content-Type") == "font/woff2");
    for (auto const* path :
        {"", "css/", "css/other.css", "css/../css/own.css", "de/corporate.md", "css%2Fown.css", "/css/own.css"})
        CHECK(terms::asset_response(all, path).status == 404);
}
