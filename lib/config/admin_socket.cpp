#include "config/admin_socket.hpp"

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include "config/settings.hpp"

namespace mdmd::config {

result<std::filesystem::path> admin_socket(std::filesystem::path const& config_file) {
    auto socket = settings{}.admin.socket;
    try {
        auto const root = YAML::LoadFile(config_file.string());
        // An absent key is an undefined node, of which nothing but that may be asked.
        auto const child = [](YAML::Node const& of, char const* key) {
            return of.IsDefined() && of.IsMap() ? of[key] : YAML::Node(YAML::NodeType::Undefined);
        };
        auto const node = child(child(root, "admin"), "socket");
        if (node.IsDefined() && node.IsScalar()) socket = node.Scalar();
    } catch (YAML::BadFile const&) {
        return fail(errc::not_found, fmt::format("cannot read {}", config_file.string()));
    } catch (YAML::Exception const& e) {
        return fail(errc::malformed,
            fmt::format("{}:{}:{}: {}", config_file.filename().string(), e.mark.line + 1, e.mark.column + 1, e.msg));
    }
    return std::filesystem::absolute(config_file).parent_path() / socket;
}

}  // namespace mdmd::config
