#include "csr.hpp"

namespace mdmd::sim {
namespace {

// DER by hand: a library that is strict about PrintableString would not write what Windows writes.
enum tag : unsigned char {
    integer = 0x02,
    bit_string = 0x03,
    octet_string = 0x04,
    null = 0x05,
    object = 0x06,
    printable_string = 0x13,
    sequence = 0x30,
    set = 0x31,
    attributes = 0xa0,  // [0] IMPLICIT SET OF Attribute
};

std::string tlv(tag t, std::string const& content) {
    std::string out(1, static_cast<char>(t));
    auto const size = content.size();
    if (size < 0x80) {
        out += static_cast<char>(size);
    } else if (size < 0x100) {
        out += {static_cast<char>(0x81), static_cast<char>(size)};
    } else {
        out += {static_cast<char>(0x82), static_cast<char>(size >> 8), static_cast<char>(size & 0xff)};
    }
    return out + content;
}

template <std::size_t n> std::string oid(unsigned char const (&bytes)[n]) {
    return tlv(object, {reinterpret_cast<char const*>(bytes), n});
}

constexpr unsigned char common_name[] = {0x55, 0x04, 0x03};
constexpr unsigned char extension_request[] = {0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x0e};
constexpr unsigned char mdm_device_id[] = {0x2b, 0x06, 0x01, 0x04, 0x01, 0x82, 0x37, 0x42, 0x01, 0x00};
constexpr unsigned char sha1_with_rsa[] = {0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x05};
constexpr unsigned char sha256_with_rsa[] = {0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b};

}  // namespace

std::string make_request(
    private_key const& key, std::string const& text, std::string const& device_id, bool with_sha1) {
    auto const nul = std::string(1, '\0');
    auto const subject =
        tlv(sequence, tlv(set, tlv(sequence, oid(common_name) + tlv(printable_string, text + "!" + device_id + nul))));
    auto const extension = tlv(sequence, oid(mdm_device_id) + tlv(octet_string, device_id + nul));
    auto const requested = tlv(sequence, oid(extension_request) + tlv(set, tlv(sequence, extension)));
    auto const body = tlv(sequence, tlv(integer, nul) + subject + key.public_der() + tlv(attributes, requested));
    auto const algorithm = tlv(sequence, (with_sha1 ? oid(sha1_with_rsa) : oid(sha256_with_rsa)) + tlv(null, {}));
    return tlv(
        sequence, body + algorithm + tlv(bit_string, nul + (with_sha1 ? key.sign_sha1(body) : key.sign_sha256(body))));
}

}  // namespace mdmd::sim
