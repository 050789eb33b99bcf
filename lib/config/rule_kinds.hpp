// The compliance rules that have a short name, as data: what each takes, and which node of Windows answers it.
// Source: windows10CompliancePolicy of Microsoft Graph for their meaning, the DDFs of the CSPs for the nodes.
#pragma once
#include <span>
#include <string>
#include <string_view>

namespace mdmd::config {

enum class rule_id {
    min_os_version,
    max_os_version,
    os_builds,
    encryption,
    bitlocker,
    secure_boot,
    tpm,
    memory_integrity,
    virtualization_based_security,
    kernel_dma_protection,
    firmware_protection,
    firewall,
    antivirus,
    antispyware,
    defender,
    defender_version,
    defender_signatures,
    realtime_protection,
    password,
    password_simple,
    password_type,
    password_min_length,
    password_min_character_sets,
    password_expiration_days,
    password_history,
    password_lock_after_minutes,
    password_after_idle,
};

enum class rule_argument {
    required,  // the word
    blocked,   // the word
    version,   // "10.0.19045.3803"
    tpm,       // the word "required", or a version such as "2.0"
    ranges,    // a list of {lowest, highest, description}, or of versions "A-B"
    number,    // from least to most
    password,  // one of the words device_default, numeric, alphanumeric
};

struct rule_kind {
    rule_id id;
    std::string_view name;   // as policies write it
    std::string_view graph;  // the property of windows10CompliancePolicy
    rule_argument takes;
    std::string_view node;       // whose value decides
    std::string_view also = {};  // read as well, where the first does not say it all
    int least = 0, most = 0;     // of a number
};
std::span<rule_kind const> rule_kinds();  // in the order of rule_id
rule_kind const& kind_of(rule_id);
rule_kind const* find_rule_kind(std::string_view name);

// Why there is no rule of this name: it is another service's to answer, or it is called otherwise here. Empty where
// nothing is known of the name.
std::string why_no_rule(std::string_view name);

}  // namespace mdmd::config
