#include "config/admin_socket.hpp"

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include "config/settings.hpp"

namespace mdmd::config {
namespace {

// The value at the keys, one below the other, as a path beside the file; `otherwise` where there is none.
result<std::filesystem::path> path_at(
    std::filesystem::path const& config_file, std::vector<char const*> const& keys, std::filesystem::path otherwise) {
    try {
        auto node = YAML::LoadFile(config_file.string());
        for (auto const* key : keys) {
            // An absent key is an undefined node, of which nothing but that may be asked.
            bool const map = node.IsDefined() && node.IsMap();
            node.reset(map ? node[key] : YAML::Node(YAML::NodeType::Undefined));
        }
        if (node.IsDefined() && node.IsScalar()) otherwise = node.Scalar();
    } catch (YAML::BadFile const&) {
        return fail(errc::not_found, fmt::format("cannot read {}", config_file.string()));
    } catch (YAML::Exception const& e) {
        return fail(errc::malformed,
            fmt::format("{}:{}:{}: {}", config_file.filename().string(), e.mark.line + 1, e.mark.column + 1, e.msg));
    }
    return std::filesystem::absolute(config_file).parent_path() / otherwise;
}

}  // namespace

result<std::filesystem::path> admin_socket(std::filesystem::path const& config_file) {
    return path_at(config_file, {"admin", "socket"}, settings{}.admin.socket);
}

result<std::filesystem::path> policies_folder(std::filesystem::path const& config_file) {
    return path_at(config_file, {"policies_dir"}, "policies.d");
}

result<std::filesystem::path> database_file(std::filesystem::path const& config_file) {
    return path_at(config_file, {"storage", "path"}, settings{}.storage.path);
}

}  // namespace mdmd::config
