#include "msi_install.hpp"

#include <algorithm>
#include <charconv>

#include "core/text.hpp"
#include "json_read.hpp"
#include "pki.hpp"
#include "xml/document.hpp"

namespace mdmd::sim {
namespace json = boost::json;
namespace {

constexpr std::uint32_t bad_hash = 0x80091007;       // CRYPT_E_HASH_VALUE
constexpr std::uint32_t unreachable = 0x80072EFD;    // ERROR_INTERNET_CANNOT_CONNECT
constexpr std::uint32_t bits_protocol = 0x80190000;  // BG_E_HTTP_ERROR_100 … 505: with the status

struct downloaded {
    std::string bytes;
    std::uint32_t hresult = 0;
    std::string problem;
};

downloaded broken(std::uint32_t hresult, std::string problem) { return {{}, hresult, std::move(problem)}; }

// "bytes 0-99/1000". False: another range than the one that was asked for, or none.
bool fits_range(std::string_view field, std::size_t from, std::size_t size, std::size_t& whole) {
    auto const slash = field.find('/');
    if (slash == field.npos) return false;
    auto const total = field.substr(slash + 1);
    std::from_chars(total.data(), total.data() + total.size(), whole);
    return size != 0 && field.substr(0, slash) == fmt::format("bytes {}-{}", from, from + size - 1) &&
           from + size <= whole;
}

downloaded in_ranges(std::string const& url, std::size_t block, http::transport const& send) {
    downloaded d;
    std::string tag;
    std::size_t whole = 1;
    while (d.bytes.size() < whole) {
        http::call call{.method = "GET", .url = url, .headers = {}, .body = {}};
        call.headers.add("Range", fmt::format("bytes={}-{}", d.bytes.size(), d.bytes.size() + block - 1));
        if (!tag.empty()) call.headers.add("If-Range", tag);
        auto const r = send(call);
        if (!r) return broken(unreachable, r.error().detail);
        if (r->status != 206) return broken(bits_protocol + static_cast<std::uint32_t>(r->status), "no range came");
        if (!fits_range(r->headers.get("Content-Range").value_or(""), d.bytes.size(), r->body.size(), whole))
            return broken(0x80200013, "another range came than was asked for");  // BG_E_INSUFFICIENT_RANGE_SUPPORT
        auto const its = std::string(r->headers.get("ETag").value_or(""));
        if (!tag.empty() && its != tag) return broken(0x80200014, "the file changed meanwhile");
        tag = its;
        d.bytes += r->body;
    }
    return d;
}

downloaded download(msi_job const& job, std::size_t block, http::transport const& send) {
    downloaded last = broken(unreachable, "no address");
    for (auto const& url : job.urls) {
        if (block != 0) {
            last = in_ranges(url, block, send);
        } else if (auto const r = send({.method = "GET", .url = url, .headers = {}, .body = {}}); !r) {
            last = broken(unreachable, r.error().detail);
        } else if (r->status != 200) {
            last = broken(bits_protocol + static_cast<std::uint32_t>(r->status), fmt::format("HTTP {}", r->status));
        } else {
            last = {r->body, 0, {}};
        }
        if (last.hresult == 0) break;
    }
    return last;
}

std::string text_at(xml::tree const& from, std::initializer_list<char const*> path) {
    auto const* at = &from;
    for (auto const* name : path)
        if (at) at = xml::child(*at, "", name);
    return at ? std::string(trim(at->data())) : std::string();
}

}  // namespace

result<msi_job> parse_msi_job(std::string const& uri, std::string_view data) {
    msi_job job;
    job.node = uri.substr(0, uri.rfind('/'));
    auto const segment = job.node.substr(job.node.rfind('/') + 1);
    auto const wrong = [](std::string what) { return fail(errc::malformed, "MsiInstallJob: " + std::move(what)); };
    auto const doc = xml::parse(data);
    if (!doc) return wrong(doc.error().detail);
    if (doc->root != xml::name{"", "MsiInstallJob"}) return wrong("the root is " + doc->root.local);
    job.product = std::string(xml::attribute(doc->content, "", "id").value_or(""));
    if (!iequals(percent_decode(segment).value_or(""), job.product))
        return wrong(fmt::format("id '{}' is not that of the node {}", printable(job.product, 60), segment));
    auto const* const product = xml::child(doc->content, "", "Product");
    if (!product) return wrong("no Product");
    job.version = std::string(xml::attribute(*product, "", "Version").value_or(""));
    if (job.version.empty()) return wrong("Product has no Version");
    if (auto const* const all = xml::child(*product, "", "Download"))
        if (auto const* const list = xml::child(*all, "", "ContentURLList"))
            for (auto const* const u : xml::children(*list, "", "ContentURL")) job.urls.emplace_back(trim(u->data()));
    if (job.urls.empty()) return wrong("no ContentURL");
    for (auto const& url : job.urls)
        if (!url.starts_with("https://")) return wrong(fmt::format("ContentURL '{}' is not https", printable(url)));
    job.sha256 = text_at(*product, {"Validation", "FileHash"});
    if (job.sha256.size() != 64 || hex_upper(unhex(job.sha256).value_or("")) != job.sha256)
        return wrong("FileHash is not SHA-256 in upper-case hex");
    auto const* const enforcement = xml::child(*product, "", "Enforcement");
    if (!enforcement) return wrong("no Enforcement");
    job.command_line = text_at(*enforcement, {"CommandLine"});
    for (auto const* name : {"TimeOut", "RetryCount", "RetryInterval"}) {
        auto const value = text_at(*enforcement, {name});
        if (value.empty() || value.find_first_not_of("0123456789") != value.npos)
            return wrong(fmt::format("{} '{}' is no number", name, printable(value, 40)));
    }
    return job;
}

json::object as_json(msi_job const& j) {
    return {{"node", j.node}, {"product", j.product}, {"version", j.version}, {"sha256", j.sha256},
        {"command_line", j.command_line}, {"urls", json::value_from(j.urls)}, {"tried", j.tried},
        {"steps", json::value_from(j.steps)}, {"hresult", static_cast<std::int64_t>(j.hresult)}, {"problem", j.problem},
        {"upgrade_code", j.upgrade_code}};
}

msi_job read_msi_job(json::object const& o) {
    msi_job j{.node = text_or(o, "node"),
        .product = text_or(o, "product"),
        .version = text_or(o, "version"),
        .sha256 = text_or(o, "sha256"),
        .command_line = text_or(o, "command_line")};
    for (auto const& u : array_or_empty(o, "urls")) j.urls.push_back(json::value_to<std::string>(u));
    j.tried = flag_or(o, "tried", false);
    for (auto const& s : array_or_empty(o, "steps")) j.steps.push_back(json::value_to<int>(s));
    j.hresult = static_cast<std::uint32_t>(number_or(o, "hresult", 0));
    j.problem = text_or(o, "problem");
    j.upgrade_code = text_or(o, "upgrade_code");
    return j;
}

void carry_out(msi_job& job, install_options const& o, http::transport const& send) {
    job.tried = true;
    job.steps = {20};
    auto const ends = [&](int status, std::uint32_t hresult, std::string problem) {
        job.steps.push_back(status);
        job.hresult = hresult;
        job.problem = std::move(problem);
    };
    auto const got = download(job, o.block, send);
    if (got.hresult != 0) return ends(30, got.hresult, got.problem);
    job.steps.push_back(40);
    if (hex_upper(sha256(got.bytes)) != job.sha256) return ends(60, bad_hash, "the hash is not that of FileHash");
    job.steps.push_back(50);
    if (o.error != 0) return ends(60, o.error, "the installer failed");
    constexpr std::string_view mark = "UpgradeCode={";
    if (auto const at = got.bytes.find(mark); at != got.bytes.npos)
        job.upgrade_code = got.bytes.substr(at + mark.size() - 1, 38);
    ends(70, 0, {});
}

}  // namespace mdmd::sim
