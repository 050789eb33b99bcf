#include "terms/words.hpp"

namespace mdmd::terms {

constinit words const german{
    .tag = "de",
    .name = "Deutsch",
    .title = "Nutzungsbedingungen von {organization}",
    .signed_in = "Angemeldet als {user}",
    .version = "Version {version}",
    .accept = "Annehmen",
    .decline = "Ablehnen",
    .pin = "Einmal-PIN",
    .pin_hint = "Die acht Ziffern, die Sie von Ihrer IT-Abteilung erhalten haben.",
    .pin_missing = "Bitte geben Sie die PIN ein.",
    .pin_wrong = "Diese PIN ist nicht gültig. Bitte prüfen Sie sie und versuchen Sie es noch einmal.",
    .management = "Geräteverwaltung",
    .turned_away = "Dieses Gerät kann nicht von {organization} verwaltet werden",
    .enrollment_off = "Die Registrierung von Geräten ist abgeschaltet.",
    .personal_blocked = "Private Geräte werden nicht angenommen.",
    .not_in_group =
        "Ihr Konto gehört nicht zu denen, die Geräte registrieren dürfen. Bitte wenden Sie sich an Ihre "
        "IT-Abteilung.",
    .maintenance = "Es wird gerade gewartet. Bitte versuchen Sie es später noch einmal.",
    .pin_locked =
        "Ihre PIN wurde nach zu vielen falschen Eingaben gesperrt. Bitte lassen Sie sich von Ihrer "
        "IT-Abteilung eine neue geben.",
    .next = "Weiter",
    .refused = "Diese Seite kann nicht angezeigt werden",
    .incomplete =
        "Windows öffnet diese Seite, wenn ein Gerät der Organisation beitritt. Die Adresse, mit der sie "
        "geöffnet wurde, ist nicht vollständig.",
    .foreign = "Diese Antwort gehört zu keiner Seite, die angezeigt wurde.",
    .expired = "Das hat zu lange gedauert. Bitte beginnen Sie von vorn.",
    .answered = "Diese Seite wurde schon beantwortet.",
    .no_such_answer = "Diese Antwort stand nicht zur Wahl.",
    .text_changed = "Die Nutzungsbedingungen haben sich inzwischen geändert. Bitte beginnen Sie von vorn.",
    .start_again =
        "Schließen Sie dieses Fenster und beginnen Sie von vorn. Falls es wieder geschieht, wenden Sie sich an "
        "Ihre IT-Abteilung.",
    .corporate = R"(Dieses Gerät gehört {organization}. Mit dem Beitritt wird es von {organization} verwaltet.

## {organization} kann

- Name, Modell, Seriennummer, Windows-Version und Schutzzustand des Geräts sehen
- sehen, welche Apps darauf installiert sind
- Einstellungen ändern, Apps installieren und entfernen sowie Kennwort und Verschlüsselung verlangen
- das Gerät sperren, neu starten oder vollständig löschen

## {organization} kann nicht

- durch diese Verwaltung Ihre E-Mails, Dokumente, Fotos oder Ihren Browserverlauf lesen

Die Verwaltung dauert so lange, wie das Gerät {organization} gehört.
)",
    .personal =
        R"(Wenn Sie Ihr eigenes Gerät verbinden, darf {organization} es verwalten, damit Sie es für die Arbeit nutzen können.

## {organization} kann

- Name, Modell, Seriennummer, Windows-Version und Schutzzustand des Geräts sehen
- sehen, welche Apps darauf installiert sind
- Einstellungen wie Kennwort und Verschlüsselung verlangen und Apps für die Arbeit installieren
- entfernen, was eingerichtet wurde, oder das Gerät löschen, wenn es verloren geht

## {organization} kann nicht

- durch diese Verwaltung Ihre E-Mails, Dokumente, Fotos oder Ihren Browserverlauf lesen

Sie können die Verwaltung jederzeit beenden: Einstellungen, Konten, Auf Arbeits- oder Schulkonto zugreifen. Wenn Sie
ablehnen, wird das Gerät nicht verwaltet und darf Ressourcen der Arbeit möglicherweise nicht öffnen.
)",
};

}  // namespace mdmd::terms
