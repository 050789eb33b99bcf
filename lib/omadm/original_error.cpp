#include "omadm/original_error.hpp"

#include <algorithm>
#include <array>

#include "core/hresult.hpp"
#include "core/text.hpp"

namespace mdmd::omadm {
namespace {

constexpr char look_at_uri[] =
    "Check the setting with `mdmctl policies check`, and against Microsoft's page of the configuration service provider.";
constexpr char look_at_log[] =
    "See the device's event log DeviceManagement-Enterprise-Diagnostics-Provider at the time of the session.";

constexpr auto table = std::to_array<original_error>({
    {0x80004005, "E_FAIL", "The configuration service provider failed and does not say why.", look_at_log},
    {0x8000FFFF, "E_UNEXPECTED", "The provider met with something that it did not expect.", look_at_log},
    {0x80070002, "ERROR_FILE_NOT_FOUND", "What the node stands for is not there.", look_at_uri},
    {0x80070005, "ERROR_ACCESS_DENIED",
        "Windows refuses the access: the node is read only, held by something else, or of another edition.",
        look_at_uri},
    {0x8007000D, "ERROR_INVALID_DATA",
        "The value is not of the form that the node takes, such as XML with a mistake or a number out of range.",
        look_at_uri},
    {0x80070032, "ERROR_NOT_SUPPORTED", "This Windows, its edition or its hardware cannot do it.",
        "Compare the editions and versions on Microsoft's page of the node with the device's, and narrow the policy's "
        "target."},
    {0x80070057, "E_INVALIDARG", "The provider does not take this value.", look_at_uri},
    {0x800700B7, "ERROR_ALREADY_EXISTS", "What was to be added is there already.",
        "Nothing for settings: they are sent again as Replace."},
    {0x86000000, "CFGMGR_E_INVALIDNODEOPTIONS", "The options of the node are not valid.", look_at_uri},
    {0x86000001, "CFGMGR_E_INVALIDDATATYPE", "The format is not the node's: `int` where it wants `chr`, say.",
        "Give the setting the format of Microsoft's page of the node; `mdmctl policies check` names it."},
    {0x86000002, "CFGMGR_E_NODENOTFOUND",
        "The device does not have the node: its Windows is too old or another edition, a feature is missing, or the "
        "URI is misspelled.",
        look_at_uri},
    {0x8600000E, "CFGMGR_E_DEPENDENTOPERATIONFAILURE", "It was not done since something before it had failed.",
        "Look for the setting of the same area that failed first, and mend that one."},
    {0x8600000F, "CFGMGR_E_CSPNODEILLEGALSTATE", "The node is in a state in which it does not take the command.",
        look_at_log},
    {0x86000011, "CFGMGR_E_COMMANDNOTALLOWED",
        "The node does not take this command: it is read only, of the other scope (./User or ./Device), or closed by "
        "now, as those of the Enrollment Status Page are after its end.",
        look_at_uri},
    {0x86000015, "CFGMGR_E_FORBIDDENURISEGMENT", "The URI has a part that is not allowed in it.",
        "Escape reserved characters in names of nodes (%2F for a slash)."},
    {0x86000016, "CFGMGR_E_READWRITEACCESSDENIED", "The node may not be read or written by this server.", look_at_uri},
    {0x86000017, "CFGMGR_E_SECRETDATAACCESSDENIED", "The node holds a secret, and is not given back.",
        "Nothing: it can be written and not read."},
    {0x86000018, "CFGMGR_E_XMLPARSEERROR", "The value is XML that Windows cannot read.",
        "Look for the mistake in the value; XML within a value is escaped, or its format is `xml`."},
    {0x86000019, "CFGMGR_E_COMMANDTIMEOUT", "It took the device too long.",
        "Nothing: errors of the device's own are tried again, five times in all."},
    {0x86000022, "CFGMGR_E_NOIMPERSONATIONTARGET", "The node is a user's, and Windows finds no user to do it for.",
        "Nothing, if nobody was signed in: it waits for the user. Otherwise see the device's event log."},
    {0x86000023, "RESOURCEMGR_E_RESOURCEALREADYOWNED",
        "Something else has set it already: a provisioning package, another management or group policy.",
        "Let one of them set it."},
});

}  // namespace

std::span<original_error const> original_errors() { return table; }

original_error const* find_original_error(std::string_view text) {
    text = trim(text);
    auto const code = parse_hresult(text);
    auto const found = std::find_if(
        table.begin(), table.end(), [&](auto const& e) { return code == e.code || iequals(e.name, text); });
    return found == table.end() ? nullptr : &*found;
}

}  // namespace mdmd::omadm
