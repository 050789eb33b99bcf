#include <random>
#include <set>

#include "core/text.hpp"
#include "test/omadm_support.hpp"

using namespace mdmd;
using namespace mdmd::test;

namespace {

std::string const package_1 =
    alert_of(2, 1201) +
    "<Replace><CmdID>3</CmdID><Item><Source><LocURI>./DevInfo/Man</LocURI></Source></Item></Replace>" + "<Final/>";
wanted write_to(std::string uri, std::string atomic = {}) {
    return to_send(verb::replace, std::move(uri), "1", std::move(atomic));
}
intake took(session const& s, int msg_id, std::string const& body, std::string const& header = {}) {
    return receive(s, parse(message_text(msg_id, body, header)).value()).value();
}
answer answer_to(intake const& in, std::vector<wanted> const& queue = {}, authentication const& auth = {}) {
    return reply_to(in, both_ends, queue, auth);
}
answer challenged(session const& s, int msg_id, refusal why) {
    return challenge(s, parse(message_text(msg_id, package_1)).value(), both_ends, why, "Nonce").value();
}
authentication ours(std::string data = "Zz6EivR3yeaaENcRN6lpAQ==") {
    return {.next_nonce = std::nullopt,
        .name = "mdmd",
        .cred = credential{std::string(md5_scheme), "b64", secret(std::move(data))}};
}
std::string const challenge_of_device =
    "<Chal><Meta><Format xmlns='syncml:metinf'>b64</Format><Type xmlns='syncml:metinf'>syncml:auth-md5</Type><NextNonce "
    "xmlns='syncml:metinf'>Tm9uY2U=</NextNonce></Meta></Chal>";

}  // namespace

TEST_CASE("an Atomic is what Windows accepts, byte for byte", "[omadm]") {
    auto const a = answer_to(took({}, 1, package_1),
        {write_to("./Device/Vendor/MSFT/A", "p"), write_to("./Device/Vendor/MSFT/B", "p"), write_to("./Vendor/C")});
    test::matches_golden("omadm/atomic.xml", a.text);
    REQUIRE(a.next.waiting.size() == 3);
    CHECK(a.next.waiting[1].atomic == 4);
    CHECK(a.next.waiting[1].cmd_id == 6);
    CHECK(a.next.waiting[2].atomic == 0);
    CHECK(a.next.atomics == std::vector<sent_atomic>{{1, 4, std::nullopt}});
}

TEST_CASE("the parts of a large object are what the protocol has, byte for byte", "[omadm]") {
    std::string value;
    for (int i = 0; i < 90; ++i) value += "<data id=\"" + std::to_string(i) + "\"/>\xc3\xa9 ";
    auto w = to_send(verb::add, "./Vendor/MSFT/X", value);
    w.what.format = "chr";
    w.what.type = "text/plain";
    auto const in = took({}, 1, "<Final/>", "<Meta><MaxMsgSize xmlns='syncml:metinf'>1300</MaxMsgSize></Meta>");
    auto a = answer_to(in, {w});
    test::matches_golden("omadm/large-object-first.xml", a.text);
    std::string put_together;
    int parts = 0;
    for (int msg_id = 2; !a.next.waiting.empty(); ++msg_id) {
        REQUIRE(++parts < 10);
        CHECK(a.text.size() <= 1300);
        CHECK_FALSE(a.ended);
        auto const doc = xml::parse(a.text).value();
        constexpr std::string_view ns = "SYNCML:SYNCML1.2";
        auto const& item = *xml::child(*xml::child(*xml::child(doc.content, ns, "SyncBody"), ns, "Add"), ns, "Item");
        put_together += xml::child(item, ns, "Data")->data();
        bool const last = xml::child(item, ns, "MoreData") == nullptr;
        if (last) test::matches_golden("omadm/large-object-last.xml", a.text);
        auto const o = load(save(a.next)).value().waiting.at(0);
        auto const next = took(load(save(a.next)).value(), msg_id,
            status_of(o.msg_id, o.cmd_id, last ? 200 : 213) + (last ? "<Final/>" : alert_of(9, 1222)));
        CHECK(next.outcomes.size() == (last ? 1 : 0));
        if (last) CHECK(next.outcomes.at(0).sent == w.what);
        a = answer_to(next);
    }
    CHECK(put_together == value);
    CHECK(parts > 2);
    CHECK(a.ended);
}

TEST_CASE("what is over our own limit of objects is never sent, and what is not goes", "[omadm]") {
    auto const in = took({}, 1, "<Final/>");
    auto const a = answer_to(in, {to_send(verb::add, "./A", std::string(object_limit + 1, 'x')),
                                     to_send(verb::add, "./B", std::string(object_limit, 'x'))});
    REQUIRE(a.unsendable.size() == 1);
    CHECK(a.unsendable[0] == unsendable{0, "its value has 8388609 bytes, and 8388608 are the most that is sent"});
    CHECK(a.taken == 2);
    CHECK(a.text.size() <= message_limit);
    CHECK_THAT(a.text, Catch::Contains(">8388608</Size>"));
}

TEST_CASE("a device without credentials is challenged, byte for byte", "[omadm][security]") {
    auto const a = challenged({}, 1, refusal::missing);
    test::matches_golden("omadm/challenge.xml", a.text);
    CHECK_FALSE(a.ended);
    CHECK(a.taken == 0);
}

TEST_CASE("a device may try once after none and once after wrong credentials", "[omadm][security]") {
    struct tried {
        refusal why;
        std::string answer;
        bool ended;
    };
    auto const all = GENERATE(
        std::vector<tried>{{refusal::missing, "S0=407+Chal S2=407 S3=407 F", false},
            {refusal::wrong, "S0=401+Chal S2=401 S3=401 F", false}, {refusal::wrong, "S0=401 S2=401 S3=401 F", true}},
        std::vector<tried>{
            {refusal::wrong, "S0=401+Chal S2=401 S3=401 F", false}, {refusal::wrong, "S0=401 S2=401 S3=401 F", true}},
        std::vector<tried>{
            {refusal::wrong, "S0=401+Chal S2=401 S3=401 F", false}, {refusal::missing, "S0=401 S2=401 S3=401 F", true}},
        std::vector<tried>{{refusal::missing, "S0=407+Chal S2=407 S3=407 F", false},
            {refusal::missing, "S0=401 S2=401 S3=401 F", true}},
        std::vector<tried>{{refusal::unsupported, "S0=406 S2=406 S3=406 F", true}});
    session s;
    int msg_id = 0;
    for (auto const& one : all) {
        auto const a = challenged(load(save(s)).value(), ++msg_id, one.why);
        CHECK(in_short(a.text) == one.answer);
        CHECK(a.ended == one.ended);
        s = a.next;
    }
}

TEST_CASE("of a message that is challenged nothing is taken in but its number", "[omadm][security]") {
    auto const m = parse(message_text(1,
                             alert_of(2, 1224, "com.microsoft/MDM/LoginStatus", "user") + status_of(1, 2, 200) +
                                 results_of(1, 2, "./N", "v") + "<Alert/><Final/>",
                             "<Meta><MaxMsgSize xmlns='syncml:metinf'>5000</MaxMsgSize></Meta>"))
                       .value();
    auto const a = challenge({}, m, both_ends, refusal::missing, "Nonce").value();
    CHECK(in_short(a.text) == "S0=407+Chal S2=407 S50=407 S=407 F");
    CHECK(a.next == session{.id = "1",
                        .device_msg_id = 1,
                        .server_msg_id = 1,
                        .max_msg_size = 0,
                        .waiting = {},
                        .login_status = {},
                        .ended = false,
                        .messages = 1,
                        .challenged = 407});
    CHECK(challenge(a.next, m, both_ends, refusal::wrong, "x").error().code == errc::malformed);
}

TEST_CASE("credentials that are good are good for the session, and bring the nonce of the next", "[omadm][security]") {
    auto const first = challenged({}, 1, refusal::missing);
    auto const in = took(first.next, 2, package_1);
    auto const a = answer_to(in, {write_to("./N")}, {.next_nonce = std::string("\xff\x00\x01", 3)});
    test::matches_golden("omadm/accepted.xml", a.text);
    CHECK(a.next.authenticated);
    auto const later = answer_to(took(load(save(a.next)).value(), 3, status_of(2, 4, 200) + "<Final/>"));
    CHECK(in_short(later.text) == "S0=200 F");
    CHECK(later.next.authenticated);
    CHECK_FALSE(took(later.next, 4, package_1).next.authenticated);
}

TEST_CASE("our credentials go out in the header, byte for byte", "[omadm]") {
    test::matches_golden(
        "omadm/server-credentials.xml", answer_to(took({}, 1, package_1), {write_to("./N")}, ours()).text);
}

TEST_CASE("what a device did not do because it did not know us is sent once more", "[omadm]") {
    auto const code = GENERATE(401, 407);
    auto const a =
        answer_to(took({}, 1, package_1), {write_to("./A", "p"), write_to("./B", "p"), write_to("./C")}, ours());
    auto const refused = status_of(1, 4, code) + status_of(1, 5, code) + status_of(1, 7, code) +
                         status_of(1, 0, code, challenge_of_device) + "<Final/>";
    auto const in = took(a.next, 2, refused);
    CHECK(in.outcomes.empty());
    REQUIRE(in.server_nonce);
    CHECK(*in.server_nonce == "Nonce");
    auto const again = answer_to(in, {write_to("./D")}, ours("b3RoZXI="));
    CHECK(in_short(again.text) == "S0=200 Atomic2[Replace3 ./A Replace4 ./B] Replace5 ./C F");
    CHECK_THAT(again.text, Catch::Contains("b3RoZXI="));
    CHECK(again.taken == 0);
    CHECK_FALSE(again.ended);

    auto const next = load(save(again.next)).value();
    auto const good = took(next, 3, status_of(2, 2, 200) + status_of(2, 5, 200) + "<Final/>");
    CHECK(in_short(good.outcomes) == "./A=200 ./B=200 ./C=200");
    auto const bad = took(next, 3, status_of(2, 3, code) + status_of(2, 0, code, challenge_of_device) + "<Final/>");
    CHECK(bad.server_refused);
    CHECK(bad.outcomes.empty());
    auto const end = answer_to(bad, {write_to("./D")}, ours());
    CHECK(in_short(end.text) == "S0=200 A1223 F");
    CHECK(end.ended);
    CHECK(end.aborted);
    CHECK(end.next.waiting.size() == 3);
}

TEST_CASE("a device that does not know us and tells no nonce ends the session", "[omadm]") {
    auto const a = answer_to(took({}, 1, package_1), {write_to("./A")});
    auto const more = GENERATE(as<std::string>(), "", "<Chal/>",
        "<Chal><Meta><Type xmlns='syncml:metinf'>syncml:auth-basic</Type><NextNonce xmlns='syncml:metinf'>Tm9uY2U="
        "</NextNonce></Meta></Chal>");
    auto const in = took(a.next, 2, status_of(1, 0, 401, more) + status_of(1, 4, 401) + "<Final/>");
    CHECK(in.server_refused);
    CHECK_FALSE(in.server_nonce);
    CHECK(in.outcomes.empty());
    CHECK(answer_to(in).ended);
}

TEST_CASE("a status of an earlier header does not unsettle the session", "[omadm]") {
    auto const a = answer_to(took({}, 1, package_1), {write_to("./A")});
    auto const in = took(a.next, 2, status_of(7, 0, 401, challenge_of_device) + status_of(1, 4, 200) + "<Final/>");
    CHECK_FALSE(in.server_nonce);
    CHECK_FALSE(in.server_refused);
    CHECK(in_short(in.outcomes) == "./A=200");
}

TEST_CASE("an endless session is aborted, byte for byte", "[omadm][security]") {
    session s;
    answer a;
    for (int msg_id = 1; msg_id < messages_limit; ++msg_id) {
        a = answer_to(
            took(s, msg_id, msg_id == 1 ? "<Final/>" : status_of(msg_id - 1, 2, 200) + "<Final/>"), {write_to("./N")});
        REQUIRE_FALSE(a.ended);
        s = a.next;
    }
    auto const in = took(s, messages_limit, status_of(messages_limit - 1, 2, 200) + "<Final/>");
    CHECK(in.outcomes.size() == 1);
    a = answer_to(in, {write_to("./N")});
    test::matches_golden("omadm/abort.xml", a.text);
    CHECK(a.ended);
    CHECK(a.aborted);
    CHECK(a.taken == 0);
    CHECK_FALSE(answer_to(in).aborted);  // it would have ended by itself
    CHECK(took(a.next, messages_limit + 1, "<Final/>").next.messages == 0);
}

TEST_CASE("a device that never says Final is aborted as well", "[omadm][security]") {
    bool const stopped = GENERATE(false, true);
    session s;
    answer a;
    int msg_id = 0;
    while (!a.ended) {
        REQUIRE(msg_id <= messages_limit);
        a = answer_to(took(s, ++msg_id, ""));
        s = a.next;
        s.stopped = stopped;
    }
    CHECK(msg_id == messages_limit);
    CHECK(a.aborted);
}

// A device that answers at random: late, twice, of other messages, of nothing.
TEST_CASE("no command completes twice, or with what another one was answered", "[omadm][security]") {
    auto const seed = GENERATE(range(0u, 60u));
    CAPTURE(seed);
    std::mt19937 random(seed);
    auto const below = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
    std::vector<wanted> queue;
    for (int i = 0; i < 60; ++i) {
        auto const uri = "./N" + std::to_string(i);
        switch (below(4)) {
            case 0: queue.push_back(to_send(verb::get, uri)); break;
            case 1:
                queue.push_back(to_send(verb::add, uri, std::string(static_cast<std::size_t>(below(4000)), 'x')));
                break;
            default: queue.push_back(write_to(uri, below(2) ? "g" + std::to_string(i / 3) : ""));
        }
    }
    std::map<std::pair<int, int>, std::string> sent;  // by message and command: the node
    std::set<std::string> went_out, completed;
    session s;
    std::size_t taken = 0;
    for (int msg_id = 1; msg_id < 200; ++msg_id) {
        std::string said;
        int cmd_id = 0;
        for (int n = below(12); n > 0; --n) {
            int const msg_ref = std::max(1, s.server_msg_id - below(3) / 2);
            int const cmd_ref = 1 + below(25);
            auto const node = sent.find({msg_ref, cmd_ref});
            constexpr std::array codes{101, 200, 200, 200, 202, 213, 213, 216, 404, 418, 424, 500, 507, 516};
            int const code = codes[static_cast<std::size_t>(below(codes.size()))];
            switch (below(5)) {
                case 0:
                    said += results_of(msg_ref, cmd_ref, "./x", node == sent.end() ? "?" : node->second,
                        below(5) ? "" : "<MoreData/>", ++cmd_id);
                    break;
                case 1: said += alert_of(++cmd_id, below(2) ? 1222 : 1225); break;
                default: said += status_of(msg_ref, cmd_ref, code);
            }
        }
        if (below(4)) said += "<Final/>";
        auto const in = took(
            load(save(s)).value(), msg_id, said, "<Meta><MaxMsgSize xmlns='syncml:metinf'>2000</MaxMsgSize></Meta>");
        for (auto const& o : in.outcomes) {
            REQUIRE(o.key == o.sent.uri);
            REQUIRE(went_out.contains(o.key));
            REQUIRE(completed.insert(o.key).second);
            if (o.value) REQUIRE(o.value->find(o.key) == 0);
        }
        auto const a = answer_to(in, {queue.begin() + static_cast<std::ptrdiff_t>(taken), queue.end()});
        REQUIRE(a.unsendable.empty());
        for (auto const& o : a.next.waiting) {
            REQUIRE_FALSE(completed.contains(o.key));
            REQUIRE(o.msg_id <= a.next.server_msg_id);
            sent[{o.msg_id, o.cmd_id}] = o.key;
            went_out.insert(o.key);
        }
        taken += a.taken;
        s = a.next;
        if (a.ended) break;
    }
    CHECK(went_out.size() == completed.size() + s.waiting.size());
}
