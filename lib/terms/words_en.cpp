#include "terms/words.hpp"

namespace mdmd::terms {

constinit words const english{
    .tag = "en",
    .name = "English",
    .title = "Terms of use of {organization}",
    .signed_in = "Signed in as {user}",
    .version = "Version {version}",
    .accept = "Accept",
    .decline = "Decline",
    .pin = "One-time PIN",
    .pin_hint = "The eight digits that your IT department has given you.",
    .pin_missing = "Please enter the PIN.",
    .pin_wrong = "This PIN is not valid. Please check it and try again.",
    .management = "Device management",
    .turned_away = "This device cannot be managed by {organization}",
    .enrollment_off = "Enrollment of devices is switched off.",
    .personal_blocked = "Personal devices are not accepted.",
    .not_in_group = "Your account is not among those that may enroll devices. Please ask your IT department.",
    .maintenance = "Maintenance is under way. Please try again later.",
    .pin_locked = "Your PIN has been locked after too many wrong tries. Please ask your IT department for a new one.",
    .next = "Continue",
    .refused = "This page cannot be shown",
    .incomplete =
        "Windows opens this page when a device joins the organization. The address that it was opened with is "
        "not complete.",
    .foreign = "This answer does not belong to a page that was shown.",
    .expired = "This took too long. Please start again.",
    .answered = "This page has been answered already.",
    .no_such_answer = "This answer is not one of those that were offered.",
    .text_changed = "The terms of use have changed in the meantime. Please start again.",
    .start_again = "Close this window and start again. If it happens again, tell your IT department.",
    .corporate = R"(This device belongs to {organization}. Joining it places it under {organization}'s management.

## {organization} can

- see the device's name, model, serial number, version of Windows and state of protection
- see which apps are installed on it
- change settings, install and remove apps, and require a password and encryption
- lock the device, restart it, or erase everything on it

## {organization} cannot

- read your mail, documents, photos or browsing history through this management

Management lasts as long as the device belongs to {organization}.
)",
    .personal = R"(Connecting your own device lets {organization} manage it, so that it may be used for work.

## {organization} can

- see the device's name, model, serial number, version of Windows and state of protection
- see which apps are installed on it
- require settings such as a password and encryption, and install apps for work
- remove what it has set up, or erase the device if it is lost

## {organization} cannot

- read your mail, documents, photos or browsing history through this management

You can end this at any time in Settings, Accounts, Access work or school. If you decline, the device is not managed
and may not open work resources.
)",
};

}  // namespace mdmd::terms
