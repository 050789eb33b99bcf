#include "policy/order.hpp"

#include "test/support.hpp"

using namespace mdmd;
using namespace mdmd::policy;

namespace {

constexpr char request[] = "11111111-2222-3333-4444-555555555555";

order made(order_kind kind, std::string_view variant = "") {
    return {.kind = kind, .main = command_of(kind, variant, "mdmd", request).value()};
}

std::string show(std::vector<omadm::wanted> const& all) {
    std::string text;
    for (auto const& w : all) {
        text += (text.empty() ? "" : "; ") + std::string(omadm::name(w.what.what)) + " " + w.what.uri;
        if (w.what.data && !w.what.data->empty()) text += "=" + *w.what.data;
    }
    return text;
}

progress answer(order& o, omadm::wanted const& sent, int status, std::optional<std::string> value = {}) {
    omadm::outcome got;
    got.key = sent.key;
    got.sent = sent.what;
    got.status = status;
    got.value = std::move(value);
    return take(o, std::string_view(sent.key).substr(1), got, "c");
}

}  // namespace

TEST_CASE("each order is the command that Windows has for it", "[policy]") {
    struct row {
        order_kind kind;
        char const* variant;
        char const* command;
    };
    auto const r = GENERATE(values<row>({
        {order_kind::lock, "", "Exec ./Device/Vendor/MSFT/RemoteLock/Lock"},
        {order_kind::reboot, "", "Exec ./Device/Vendor/MSFT/Reboot/RebootNow"},
        {order_kind::wipe, "", "Exec ./Device/Vendor/MSFT/RemoteWipe/doWipe"},
        {order_kind::wipe, "protected", "Exec ./Device/Vendor/MSFT/RemoteWipe/doWipeProtected"},
        {order_kind::wipe, "keep-user-data", "Exec ./Device/Vendor/MSFT/RemoteWipe/doWipePersistUserData"},
        {order_kind::wipe, "keep-provisioning", "Exec ./Device/Vendor/MSFT/RemoteWipe/doWipePersistProvisionedData"},
        {order_kind::wipe, "cloud", "Exec ./Device/Vendor/MSFT/RemoteWipe/doWipeCloud"},
        {order_kind::wipe, "cloud-keep-user-data", "Exec ./Device/Vendor/MSFT/RemoteWipe/doWipeCloudPersistUserData"},
        {order_kind::wipe, "cloud-keep-provisioning",
            "Exec ./Device/Vendor/MSFT/RemoteWipe/doWipeCloudPersistProvisionedData"},
        {order_kind::wipe, "redeploy",
            "Exec ./Device/Vendor/MSFT/RemoteWipe/AutomaticRedeployment/doAutomaticRedeployment"},
        {order_kind::retire, "", "Exec ./Device/Vendor/MSFT/DMClient/Provider/mdmd/Unenroll=mdmd"},
        {order_kind::rotate_recovery, "",
            "Exec ./Device/Vendor/MSFT/BitLocker/RotateRecoveryPasswords=11111111-2222-3333-4444-555555555555"},
        {order_kind::update_signatures, "", "Exec ./Device/Vendor/MSFT/Defender/UpdateSignature"},
        {order_kind::sync, "", ""},
    }));
    CAPTURE(r.command);
    CHECK(show(steps(made(r.kind, r.variant), "c")) == r.command);
    CHECK(parse_order_kind(name(r.kind)) == r.kind);
}

TEST_CASE("an order that does not exist is refused with what there is", "[policy]") {
    CHECK(command_of(order_kind::wipe, "everything", "mdmd", request).error().code == errc::malformed);
    CHECK(command_of(order_kind::reboot, "quick", "mdmd", request).error().code == errc::malformed);
    CHECK(command_of(order_kind::scan, "slow", "mdmd", request).error().code == errc::malformed);
    CHECK(command_of(order_kind::send, "", "mdmd", request).error().code == errc::malformed);
    CHECK_FALSE(parse_order_kind("explode"));
}

TEST_CASE("an order that is accepted at once is done, one that is refused says why", "[policy]") {
    auto const kind = GENERATE(order_kind::lock, order_kind::reboot, order_kind::wipe, order_kind::retire);
    CAPTURE(name(kind));
    auto good = made(kind);
    auto const sent = steps(good, "c").front();
    CHECK(answer(good, sent, 200).state == "done");
    auto bad = made(kind);
    auto const refused = answer(bad, sent, 405);
    CHECK(refused.state == "failed");
    if (kind != order_kind::reboot) CHECK(refused.detail != "");
}

TEST_CASE("a scan is done when its time has changed since before it was ordered", "[policy]") {
    auto o = made(order_kind::scan, "quick");
    auto const before = steps(o, "c");
    REQUIRE(show(before) == "Get ./Device/Vendor/MSFT/Defender/Health/QuickScanTime");
    auto const asked = answer(o, before[0], 200, "yesterday");
    REQUIRE(show(asked.next) == "Exec ./Device/Vendor/MSFT/Defender/Scan=1");
    CHECK(o.stage == "asked");
    auto const accepted = answer(o, asked.next[0], 200);
    CHECK(accepted.state == "");
    REQUIRE(show(accepted.next) == show(before));
    CHECK(answer(o, accepted.next[0], 200, "yesterday").state == "");
    CHECK(show(steps(o, "c")) == show(before));
    auto const done = answer(o, accepted.next[0], 200, "today");
    CHECK(done.state == "done");
    CHECK(done.detail == "scanned at today");
}

TEST_CASE("a first scan ever is done when there is a time", "[policy]") {
    auto o = made(order_kind::scan, "full");
    auto const before = steps(o, "c");
    auto const asked = answer(o, before[0], 404);
    REQUIRE(show(asked.next) == "Exec ./Device/Vendor/MSFT/Defender/Scan=2");
    auto const accepted = answer(o, asked.next[0], 200);
    CHECK(answer(o, accepted.next[0], 404).state == "");
    CHECK(answer(o, accepted.next[0], 200, "today").state == "done");
}

TEST_CASE("a rotation ends with the status that BitLocker gives for this very request", "[policy]") {
    struct row {
        char const* id;
        char const* status;
        char const* state;
    };
    auto const r = GENERATE(values<row>({
        {request, "0", "done"},
        {request, "1", ""},
        {request, "2", ""},
        {request, "-2147023728", "failed"},
        {"another", "0", ""},
    }));
    CAPTURE(r.id, r.status);
    auto o = made(order_kind::rotate_recovery);
    auto const reads = answer(o, steps(o, "c").front(), 200).next;
    REQUIRE(reads.size() == 2);
    CHECK(answer(o, reads[0], 200, r.id).state == "");
    CHECK(answer(o, reads[1], 200, r.status).state == r.state);
}

TEST_CASE("signatures are updated when Defender says that they are current", "[policy]") {
    auto o = made(order_kind::update_signatures);
    auto const reads = answer(o, steps(o, "c").front(), 202).next;
    REQUIRE(reads.size() == 2);
    CHECK(answer(o, reads[0], 200, "1.2.3.4").state == "");
    CHECK(answer(o, reads[1], 200, "true").state == "");
    CHECK(answer(o, reads[1], 200, "false").detail == "the signatures are current: 1.2.3.4");
}

TEST_CASE("what cannot be read says nothing about an order", "[policy]") {
    auto o = made(order_kind::update_signatures);
    auto const reads = answer(o, steps(o, "c").front(), 200).next;
    CHECK(answer(o, reads[1], 404).state == "");
    CHECK(answer(o, reads[1], 500).state == "");
}
