#include "test/support.hpp"
#include "xml/document.hpp"
#include "xml/writer.hpp"

using namespace mdmd;

namespace {

std::string repeated(std::string_view what, std::size_t times) {
    std::string all;
    all.reserve(what.size() * times);
    for (std::size_t i = 0; i < times; ++i) all += what;
    return all;
}

}  // namespace

TEST_CASE("prefixes resolve to namespaces", "[xml]") {
    auto const doc = xml::parse(R"(<s:Envelope xmlns:s="urn:soap"><s:Body><Hi xmlns="urn:x" a="1" s:a="2">  v </Hi>)"
                                "</s:Body></s:Envelope>")
                         .value();
    CHECK(doc.root == xml::name{"urn:soap", "Envelope"});
    auto const* hi = xml::child(*xml::child(doc.content, "urn:soap", "Body"), "urn:x", "Hi");
    REQUIRE(hi);
    CHECK(hi->data() == "  v ");
    CHECK(xml::attribute(*hi, "", "a") == "1");
    CHECK(xml::attribute(*hi, "urn:soap", "a") == "2");
    CHECK_FALSE(xml::attribute(*hi, "urn:x", "a"));
    CHECK_FALSE(xml::attribute(doc.content, "", "a"));
}

TEST_CASE("children are those of one name, in order, and never the attributes", "[xml]") {
    auto const doc = xml::parse(R"(<r k="v"><a>1</a><b/><a>2</a><a xmlns="urn:x">3</a></r>)").value();
    auto const all = xml::children(doc.content, "", "a");
    REQUIRE(all.size() == 2);
    CHECK(all[0]->data() == "1");
    CHECK(all[1]->data() == "2");
    CHECK(xml::is_attributes(doc.content.front().first));
    CHECK_FALSE(xml::is_attributes(doc.content.back().first));
}

TEST_CASE("documents that are not well formed are refused", "[xml][security]") {
    auto const [input, code] = GENERATE(table<std::string, errc>({
        {"", errc::malformed},
        {" ", errc::malformed},
        {"hello", errc::malformed},
        {"<a>", errc::malformed},
        {"<a><b>x</c></a>", errc::malformed},
        {"<a/><b/>", errc::malformed},
        {"<a>x</a>junk", errc::malformed},
        {"<a>x</a><![CDATA[]]>", errc::malformed},
        {"<a/>" + std::string(1, '\0'), errc::malformed},
        {"<a>" + std::string(1, '\0') + "</a>", errc::malformed},
        {R"(<a k="1" k="2"/>)", errc::malformed},
        {R"(<a xmlns:p="u" xmlns:q="u" p:k="1" q:k="2"/>)", errc::malformed},
        {R"(<a k="1"l="2"/>)", errc::malformed},
        {R"(<a k="<"/>)", errc::malformed},
        {"<a k=1/>", errc::malformed},
        {"<a k/>", errc::malformed},
        {"<a>&#0;</a>", errc::malformed},
        {"<a>&#1;</a>", errc::malformed},
        {"<a>&#;</a>", errc::malformed},
        {"<a>&#xD800;</a>", errc::malformed},
        {"<a>&#xFFFE;</a>", errc::malformed},
        {"<a>&#x110000;</a>", errc::malformed},
        {"<a>&#18446744073709551681;</a>", errc::malformed},
        {"<a>&nbsp;</a>", errc::malformed},
        {"<a>& </a>", errc::malformed},
        {"<a>]]></a>", errc::malformed},
        {"<a>\xff</a>", errc::malformed},
        {"<a>\xc0\xbc</a>", errc::malformed},
        {"<a>\xe0\x80\xbc</a>", errc::malformed},
        {"<a>\xed\xa0\x80</a>", errc::malformed},
        {"<a>\xef\xbf\xbf</a>", errc::malformed},
        {"<a>\xf4\x90\x80\x80</a>", errc::malformed},
        {"<a>\xe2\x82</a>", errc::malformed},
        {"<a>\x01</a>", errc::malformed},
        {"<a>\x0c</a>", errc::malformed},
        {"<p:a/>", errc::malformed},
        {"<a p:k='1'/>", errc::malformed},
        {"<a:b:c xmlns:a='u'/>", errc::malformed},
        {"<a xmlns='urn:a&#10;b'/>", errc::malformed},
        {std::string("\xff\xfe<\0a\0/\0>\0", 10), errc::malformed},
        {std::string("\xfe\xff\0<\0a\0/\0>", 10), errc::malformed},
        {" <?xml version='1.0'?><a/>", errc::malformed},
        {"<a><![CDATA[x</a>", errc::malformed},
        {"<a><!-- -- --></a>", errc::malformed},
    }));
    CAPTURE(input);
    auto const r = xml::parse(input);
    REQUIRE_FALSE(r);
    CHECK(r.error().code == code);
}

TEST_CASE("what could reach outside the document or blow up is refused", "[xml][security]") {
    auto const input = GENERATE(as<std::string>(), "<!DOCTYPE a><a/>", "<!DOCTYPE a SYSTEM 'http://127.0.0.1/x'><a/>",
        "<!DOCTYPE a [<!ENTITY e SYSTEM 'file:///etc/passwd'>]><a>&e;</a>",
        "<!DOCTYPE a [<!ENTITY % p SYSTEM 'file:///etc/passwd'>%p;]><a/>",
        "<!DOCTYPE a [<!ENTITY x 'xxxxxxxxxx'><!ENTITY y '&x;&x;&x;&x;'><!ENTITY z '&y;&y;&y;'>]><a>&z;</a>",
        "<!DOCTYPE a [<!ATTLIST a k CDATA 'v'>]><a/>", "<?xml version='1.0' encoding='UTF-16'?><a/>",
        "<?xml version='1.0' encoding='iso-8859-1'?><a/>", "<?php x?><a/>", "<a><?x y?></a>", "<a/><?x y?>");
    CAPTURE(input);
    auto const r = xml::parse(input);
    REQUIRE_FALSE(r);
    CHECK(r.error().code == errc::unsupported);
}

TEST_CASE("limits hold, and before anything is held in memory", "[xml][security]") {
    std::string attributes = "<a";
    std::string declarations = "<a";
    std::string prefixed = "<a xmlns:p='" + std::string(200'000, 'u') + "'";
    for (int i = 0; i < 100'000; ++i) {
        attributes += " k" + std::to_string(i) + "=''";
        if (i < 50'000) declarations += " xmlns:n" + std::to_string(i) + "='u'";
        if (i < 60'000) prefixed += " p:k" + std::to_string(i) + "=''";
    }
    auto const huge_namespace = "<a xmlns='" + std::string(100'000, 'u') + "'>";
    auto const [what, input] = GENERATE_COPY(table<std::string, std::string>({
        {"a million levels", repeated("<a>", 1'000'000)},
        {"the 33rd level", repeated("<a>", 33) + repeated("</a>", 33)},
        {"many elements", "<r>" + repeated("<a/>", 20'000) + "</r>"},
        {"bytes", std::string(3 << 20, ' ')},
        {"one long text", "<a>" + std::string(3 << 20, 'x') + "</a>"},
        {"attributes of one element", attributes + "/>"},
        {"the 33rd attribute", attributes.substr(0, attributes.find(" k33=")) + "/>"},
        {"attributes of all elements", "<r>" + repeated("<a b='' c='' d=''/>", 5'001) + "</r>"},
        {"namespace declarations", declarations + "/>"},
        {"a long name", "<" + std::string(257, 'a') + "/>"},
        {"a long attribute name", "<a " + std::string(257, 'b') + "=''/>"},
        {"a long namespace", huge_namespace + repeated("<b/>", 10'000) + "</a>"},
        {"a long namespace that every attribute repeats", prefixed + "/>"},
    }));
    CAPTURE(what);
    auto const r = xml::parse(input);
    REQUIRE_FALSE(r);
    CHECK(r.error().code == errc::too_large);
}

TEST_CASE("the parser's own memory is bounded, before any of our limits is asked", "[xml][security]") {
    std::string text = "<r xmlns:p='" + std::string(250, 'u') + "'><a";
    for (int i = 0; i < 60'000; ++i) text += " p:k" + std::to_string(i) + "=''";
    auto const r = xml::parse(text + "/></r>");
    REQUIRE_FALSE(r);
    CHECK(r.error().code == errc::too_large);
    CHECK_THAT(r.error().detail, Catch::Contains("memory"));
}

TEST_CASE("what is within the limits is accepted", "[xml]") {
    std::string attributes = "<a";
    for (int i = 0; i < 32; ++i) attributes += " k" + std::to_string(i) + "='v'";
    auto const [what, input] = GENERATE_COPY(table<std::string, std::string>({
        {"depth", repeated("<a>", 32) + repeated("</a>", 32)},
        {"elements", "<r>" + repeated("<a/>", 19'999) + "</r>"},
        {"text", "<a>" + std::string((1 << 20) - 7, 'x') + "</a>"},
        {"escaped text", "<a>" + repeated("&lt;", 200'000) + "</a>"},
        {"attribute value", "<a k='" + std::string((1 << 20) - 12, 'x') + "'/>"},
        {"attributes", attributes + "/>"},
        {"name", "<" + std::string(256, 'a') + "/>"},
    }));
    CAPTURE(what);
    CHECK(xml::parse(input));
}

TEST_CASE("what is legal stays legal", "[xml]") {
    auto const [input, text] = GENERATE(table<std::string, std::string>({
        {"\xEF\xBB\xBF<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<a>x</a>\n", "x"},
        {"<?xml version='1.0' encoding='UTF-8' standalone='yes'?><a>x</a>", "x"},
        {"<a>&lt;&amp;&gt;&quot;&apos;&#65;&#x41;</a>", "<&>\"'AA"},
        {"<a><![CDATA[<not><parsed>&]]></a>", "<not><parsed>&"},
        {"<a>x<![CDATA[y]]>z</a>", "xyz"},
        {"<a><!-- c -->x</a><!-- after -->", "x"},
        {"<a\n k = '1' >x</a >", "x"},
        {"<a>1\r\n2\r3&#13;</a>", "1\n2\n3\r"},
        {"<a>\xf0\x9f\x98\x80\xc3\xa9</a>", "\xf0\x9f\x98\x80\xc3\xa9"},
        {"<a/>", ""},
    }));
    CAPTURE(input);
    CHECK(xml::parse(input).value().content.data() == text);
}

TEST_CASE("an opaque element's data is its text, or its inner XML", "[xml]") {
    auto const [inside, data] = GENERATE(table<std::string, std::string>({
        {"", ""},
        {" a &lt;b&gt; ", " a <b> "},
        {"<![CDATA[<x>&]]>", "<x>&"},
        {"<x/>", "<x></x>"},
        {"<x k='1&quot;'>v</x>", "<x k=\"1&quot;\">v</x>"},
        {" 1 &lt; 2<x/>3 &amp; 4<!-- c --><![CDATA[<]]>", " 1 &lt; 2<x></x>3 &amp; 4&lt;"},
        {"<x><y>1</y><y/></x><z/>", "<x><y>1</y><y></y></x><z></z>"},
        {"<x xmlns='urn:x'><y/></x>", "<x xmlns=\"urn:x\"><y></y></x>"},
        {"<q:x xmlns:q='urn:q' q:k='1'/>", "<q:x xmlns:q=\"urn:q\" q:k=\"1\"></q:x>"},
        {"<p:x><p:y/></p:x><p:z/>", "<p:x xmlns:p=\"urn:p\"><p:y></p:y></p:x><p:z xmlns:p=\"urn:p\"></p:z>"},
        {"<x p:k='1'/>", "<x xmlns:p=\"urn:p\" p:k=\"1\"></x>"},
        {"<x xml:lang='en'/>", "<x xml:lang=\"en\"></x>"},
        {"<x xmlns=''><y xmlns='urn:y'/></x>", "<x xmlns=\"\"><y xmlns=\"urn:y\"></y></x>"},
        {"<Data>1</Data>", "<Data>1</Data>"},
    }));
    std::vector<xml::name> const opaque{{"urn:s", "Data"}};
    auto const doc =
        xml::parse("<r xmlns='urn:s' xmlns:p='urn:p'><Data>" + inside + "</Data><after/></r>", {}, opaque).value();
    auto const* const held = xml::child(doc.content, "urn:s", "Data");
    REQUIRE(held);
    CHECK(held->empty());
    CHECK(held->data() == data);
    CHECK(xml::child(doc.content, "urn:s", "after"));
}

TEST_CASE("a default namespace that inner XML needs is declared on it", "[xml]") {
    std::vector<xml::name> const opaque{{"urn:s", "Data"}};
    auto const doc = xml::parse("<s:Data xmlns:s='urn:s' xmlns='urn:x' k='v'><a><b/></a></s:Data>", {}, opaque).value();
    CHECK(doc.content.data() == "<a xmlns=\"urn:x\"><b></b></a>");
    CHECK(xml::attribute(doc.content, "", "k") == "v");
}

TEST_CASE("inner XML keeps the limits of the document", "[xml][security]") {
    std::vector<xml::name> const opaque{{"", "Data"}};
    auto const uri = std::string(200, 'u');
    auto const input =
        GENERATE_COPY(as<std::string>(), "<Data>" + repeated("<a>", 32) + repeated("</a>", 32) + "</Data>",
            "<Data>" + repeated("<a/>", 20'000) + "</Data>",
            "<Data xmlns:p='" + uri + "'>" + repeated("<p:a/>", 10'000) + "</Data>",
            "<Data><a/>" + std::string(400'000, '>') + "</Data>");
    auto const r = xml::parse(input, {}, opaque);
    REQUIRE_FALSE(r);
    CHECK(r.error().code == errc::too_large);
}

TEST_CASE("the reader names what is missing and keeps the first failure", "[xml]") {
    auto const doc = xml::parse("<r><n> 7 </n><t>\n text \n</t><big>70000</big></r>").value();
    xml::reader in("r", doc.content);
    CHECK(in.integer("", "n", 0, 10) == 7);
    CHECK(in.required("", "t") == "text");
    CHECK(in.optional("", "absent") == std::nullopt);
    CHECK_FALSE(in.failure());
    CHECK(in.required("", "gone") == "");
    in.integer("", "big", 0, 9);
    REQUIRE(in.failure());
    CHECK(in.failure()->detail == "<r> has no <gone>");
}

TEST_CASE("an integer is digits within its range and nothing else", "[xml]") {
    auto const text = GENERATE("", "abc", "0", "11", "+5", "5x", "0x5", "5 5", "5.0", "99999999999999999999", "-1");
    CAPTURE(text);
    auto const doc = xml::parse("<r><n>" + std::string(text) + "</n></r>").value();
    xml::reader in("r", doc.content);
    CHECK(in.integer("", "n", 1, 10) == 1);
    REQUIRE(in.failure());
    CHECK(in.failure()->code == errc::malformed);
}

TEST_CASE("the writer's bytes are what was asked for and nothing more", "[xml]") {
    xml::writer w;
    w.open("s:a")
        .attribute("xmlns:s", "urn:s")
        .attribute("k", "<&>\"'\t\r\n")
        .open("b")
        .text("1 < 2")
        .text(" & 3\r")
        .close();
    w.leaf("c").leaf("d", "]]>").leaf_ns("e", "urn:e", "x\ty\nz").open("f").close().close();
    auto const text = std::move(w).finish().value();
    CHECK(text ==
          "<s:a xmlns:s=\"urn:s\" k=\"&lt;&amp;&gt;&quot;'&#9;&#13;&#10;\"><b>1 &lt; 2 &amp; 3&#13;</b><c/>"
          "<d>]]&gt;</d><e xmlns=\"urn:e\">x\ty\nz</e><f/></s:a>");
    auto const doc = xml::parse(text).value();
    CHECK(xml::attribute(doc.content, "", "k") == "<&>\"'\t\r\n");
    CHECK(xml::child(doc.content, "", "b")->data() == "1 < 2 & 3\r");
}

TEST_CASE("what XML cannot carry fails the document and is not repeated in the failure", "[xml][security]") {
    auto const bad = GENERATE(as<std::string>(), "hunter2\x01", std::string("hunter2\0", 8), "hunter2\x1f",
        "hunter2\xff", "hunter2\xc0\xaf", "hunter2\xed\xa0\x80", "hunter2\xef\xbf\xbf", "hunter2\xef\xbf\xbe");
    CHECK_FALSE(xml::can_carry(bad));
    auto const in_attribute = GENERATE(false, true);
    xml::writer w;
    w.open("r").open("pin");
    if (in_attribute)
        w.attribute("k", bad);
    else
        w.text(bad);
    auto const r = std::move(w.close().close()).finish();
    REQUIRE_FALSE(r);
    CHECK(r.error().code == errc::malformed);
    CHECK_THAT(r.error().detail, Catch::Contains("<pin>") && !Catch::Contains("hunter2"));
}

TEST_CASE("misuse of the writer fails the document", "[xml]") {
    auto const fails = [](auto&& calls) {
        xml::writer w;
        calls(w);
        return !std::move(w).finish();
    };
    CHECK(fails([](auto&) {}));
    CHECK(fails([](auto& w) { w.open("a"); }));
    CHECK(fails([](auto& w) { w.close(); }));
    CHECK(fails([](auto& w) { w.leaf("a").leaf("b"); }));
    CHECK(fails([](auto& w) { w.text("x").leaf("a"); }));
    CHECK(fails([](auto& w) { w.open("a").text("x").attribute("k", "v").close(); }));
    CHECK(fails([](auto& w) { w.open("a").attribute("k", "1").attribute("k", "2").close(); }));
    CHECK(fails([](auto& w) { w.leaf("a b"); }));
    CHECK(fails([](auto& w) { w.leaf(""); }));
    CHECK_FALSE(fails([](auto& w) { w.open("a").attribute("k", "").text("").close(); }));
}

TEST_CASE("what the writer can carry the parser reads back", "[xml]") {
    std::string all;
    for (int c = 1; c < 128; ++c)
        if (xml::can_carry(std::string(1, static_cast<char>(c)))) all += static_cast<char>(c);
    all += "\xc2\x80\xe2\x82\xac\xf0\x9f\x98\x80";
    xml::writer w;
    auto const text = std::move(w.open("a").attribute("k", all).text(all).close()).finish().value();
    auto const doc = xml::parse(text).value();
    CHECK(doc.content.data() == all);
    CHECK(xml::attribute(doc.content, "", "k") == all);
}
