// The compliance page in English, German, French and Spanish.
#include <fmt/format.h>
#include <array>

#include "terms/compliance_words.hpp"

namespace mdmd::terms {
namespace {

constexpr std::array<compliance_words, 4> all{{
    {
        .locale = "en",
        .general_title = "Your device does not meet your organization’s requirements",
        .general_what =
            "“Not compliant” means that something about your device is not yet the way your organization needs it "
            "before the device may open its apps and data. Often an update is missing, a protection is switched off, or "
            "the device has not been in contact for some time. Nothing on your device is lost, and most causes are "
            "quickly mended.",
        .link_hint = "Your administrator can give you a link that shows what is wrong with your device.",
        .link_invalid = "This link is not valid any more. Please ask your administrator for a new one.",
        .steps_title = "What you can do",
        .step_network = "Connect the device to the internet or to your organization’s network.",
        .step_sync =
            "Open Settings > Accounts > Access work or school, choose your organization’s connection, then Info, then "
            "Sync.",
        .step_wait = "Wait some minutes, then try again to open what was blocked.",
        .step_ask = "If it is still blocked, please ask your administrator.",
        .this_device = "This device",
        .noncompliant_title = "{0} does not meet your organization’s requirements",
        .grace_title = "{0} needs your attention",
        .unknown_title = "{0} has not been checked yet",
        .compliant_title = "{0} meets all requirements",
        .noncompliant_what = "Access to your organization’s apps and data may be blocked until this is mended.",
        .grace_what = "The device still has access until {0}. Please mend what is wrong before then.",
        .unknown_what = "The device has not answered all questions yet. A sync makes it answer.",
        .compliant_what = "All is well. It may take some minutes until everything that was blocked opens again.",
        .shortfalls_title = "What is wrong, and how to mend it",
        .time = "{0}-{1:02}-{2:02}, {3:02}:{4:02} UTC",
        .os_version = {"Windows is too old",
            "This device has version {0}; version {1} or later is needed. Open Settings > Windows Update (in Windows "
            "10: Update & Security > Windows Update), choose “Check for updates”, install everything and restart."},
        .last_seen = {"The device has not checked in",
            "It has not been in contact for {0}. Connect it to the internet and sync it as described below."},
        .seen_today = "Its last contact is too long ago. Connect it to the internet and sync it as described below.",
        .never_seen = "It has never been in contact. Connect it to the internet and sync it as described below.",
        .days = [](std::int64_t n) { return fmt::format("{} {}", n, n == 1 ? "day" : "days"); },
        .encryption = {"The drive is not encrypted",
            "Open Settings > Privacy & security > Device encryption (in Windows 10: Update & Security > Device "
            "encryption) and turn it on. If there is no such page, please ask your administrator."},
        .secure_boot = {"Secure Boot is off",
            "Secure Boot is turned on in the device’s firmware settings (UEFI). Please ask your administrator for "
            "help."},
        .antivirus = {"Virus protection is off or out of date",
            "Open Windows Security > Virus & threat protection, turn on real-time protection and check for updates."},
        .firewall = {"The firewall is off",
            "Open Windows Security > Firewall & network protection and turn the firewall on for every network."},
        .tpm = {"The security processor (TPM) is missing, off or too old",
            "Windows Security > Device security shows its state. It is turned on in the device’s firmware settings "
            "(UEFI). Please ask your administrator for help."},
        .other = {"A requirement of your organization is not met",
            "It belongs to “{0}”. Please ask your administrator what to change, and name it."},
    },
    {
        .locale = "de",
        .general_title = "Ihr Gerät erfüllt die Anforderungen Ihrer Organisation nicht",
        .general_what =
            "„Nicht konform“ bedeutet, dass an Ihrem Gerät etwas noch nicht so ist, wie Ihre Organisation es für den "
            "Zugriff auf ihre Apps und Daten verlangt. Oft fehlt ein Update, ein Schutz ist ausgeschaltet oder das "
            "Gerät hat sich längere Zeit nicht gemeldet. Auf Ihrem Gerät geht nichts verloren, und die meisten "
            "Ursachen sind schnell behoben.",
        .link_hint =
            "Ihre Administratorin oder Ihr Administrator kann Ihnen einen Link geben, der zeigt, was an Ihrem Gerät "
            "nicht stimmt.",
        .link_invalid =
            "Dieser Link ist nicht mehr gültig. Bitte lassen Sie sich von Ihrer Administration einen neuen geben.",
        .steps_title = "Was Sie tun können",
        .step_network = "Verbinden Sie das Gerät mit dem Internet oder dem Netzwerk Ihrer Organisation.",
        .step_sync =
            "Öffnen Sie Einstellungen > Konten > Auf Arbeits- oder Schulkonto zugreifen, wählen Sie die Verbindung "
            "Ihrer Organisation, dann „Info“, dann „Synchronisieren“.",
        .step_wait = "Warten Sie einige Minuten und öffnen Sie dann noch einmal, was gesperrt war.",
        .step_ask = "Ist es immer noch gesperrt, wenden Sie sich bitte an Ihre Administration.",
        .this_device = "Dieses Gerät",
        .noncompliant_title = "{0} erfüllt die Anforderungen Ihrer Organisation nicht",
        .grace_title = "{0} braucht Ihre Aufmerksamkeit",
        .unknown_title = "{0} wurde noch nicht geprüft",
        .compliant_title = "{0} erfüllt alle Anforderungen",
        .noncompliant_what =
            "Der Zugriff auf Apps und Daten Ihrer Organisation kann gesperrt sein, bis dies behoben ist.",
        .grace_what = "Das Gerät hat noch Zugriff bis {0}. Bitte beheben Sie bis dahin, was nicht stimmt.",
        .unknown_what = "Das Gerät hat noch nicht alle Fragen beantwortet. Eine Synchronisierung holt das nach.",
        .compliant_what =
            "Alles ist in Ordnung. Es kann einige Minuten dauern, bis sich alles wieder öffnet, was gesperrt war.",
        .shortfalls_title = "Was nicht stimmt, und wie Sie es beheben",
        .time = "{2:02}.{1:02}.{0}, {3:02}:{4:02} Uhr (UTC)",
        .os_version = {"Windows ist zu alt",
            "Dieses Gerät hat Version {0}; nötig ist Version {1} oder neuer. Öffnen Sie Einstellungen > Windows Update "
            "(in Windows 10: Update und Sicherheit > Windows Update), wählen Sie „Nach Updates suchen“, installieren "
            "Sie alles und starten Sie neu."},
        .last_seen = {"Das Gerät hat sich nicht gemeldet",
            "Es hat sich seit {0} nicht gemeldet. Verbinden Sie es mit dem Internet und synchronisieren Sie es wie "
            "unten beschrieben."},
        .seen_today =
            "Es hat sich zu lange nicht gemeldet. Verbinden Sie es mit dem Internet und synchronisieren Sie es wie unten "
            "beschrieben.",
        .never_seen =
            "Es hat sich noch nie gemeldet. Verbinden Sie es mit dem Internet und synchronisieren Sie es wie unten "
            "beschrieben.",
        .days = [](std::int64_t n) { return fmt::format("{} {}", n, n == 1 ? "Tag" : "Tagen"); },
        .encryption = {"Das Laufwerk ist nicht verschlüsselt",
            "Öffnen Sie Einstellungen > Datenschutz und Sicherheit > Geräteverschlüsselung (in Windows 10: Update und "
            "Sicherheit > Geräteverschlüsselung) und schalten Sie sie ein. Gibt es diese Seite nicht, wenden Sie sich "
            "bitte an Ihre Administration."},
        .secure_boot = {"Sicherer Start (Secure Boot) ist ausgeschaltet",
            "Er wird in den Firmwareeinstellungen des Geräts (UEFI) eingeschaltet. Bitte lassen Sie sich von Ihrer "
            "Administration helfen."},
        .antivirus = {"Der Virenschutz ist ausgeschaltet oder veraltet",
            "Öffnen Sie Windows-Sicherheit > Viren- & Bedrohungsschutz, schalten Sie den Echtzeitschutz ein und suchen "
            "Sie nach Updates."},
        .firewall = {"Die Firewall ist ausgeschaltet",
            "Öffnen Sie Windows-Sicherheit > Firewall- & Netzwerkschutz und schalten Sie die Firewall für jedes Netzwerk "
            "ein."},
        .tpm = {"Der Sicherheitschip (TPM) fehlt, ist ausgeschaltet oder zu alt",
            "Windows-Sicherheit > Gerätesicherheit zeigt seinen Zustand. Eingeschaltet wird er in den "
            "Firmwareeinstellungen des Geräts (UEFI). Bitte lassen Sie sich von Ihrer Administration helfen."},
        .other = {"Eine Anforderung Ihrer Organisation ist nicht erfüllt",
            "Sie gehört zu „{0}“. Bitte fragen Sie Ihre Administration, was zu ändern ist, und nennen Sie diesen "
            "Namen."},
    },
    {
        .locale = "fr",
        .general_title = "Votre appareil ne respecte pas les exigences de votre organisation",
        .general_what =
            "« Non conforme » signifie que votre appareil n’est pas encore tel que votre organisation le demande pour "
            "accéder à ses applications et à ses données. Souvent, une mise à jour manque, une protection est "
            "désactivée ou l’appareil n’a pas donné de nouvelles depuis quelque temps. Rien n’est perdu sur votre "
            "appareil, et la plupart des causes se corrigent rapidement.",
        .link_hint = "Votre administrateur peut vous donner un lien qui montre ce qui ne va pas sur votre appareil.",
        .link_invalid = "Ce lien n’est plus valide. Veuillez en demander un nouveau à votre administrateur.",
        .steps_title = "Ce que vous pouvez faire",
        .step_network = "Connectez l’appareil à Internet ou au réseau de votre organisation.",
        .step_sync = "Ouvrez Paramètres > Comptes > Accès Professionnel ou Scolaire, choisissez la connexion de votre "
                     "organisation, puis « Info », puis « Synchroniser ».",
        .step_wait = "Patientez quelques minutes, puis essayez à nouveau d’ouvrir ce qui était bloqué.",
        .step_ask = "Si l’accès reste bloqué, adressez-vous à votre administrateur.",
        .this_device = "Cet appareil",
        .noncompliant_title = "{0} ne respecte pas les exigences de votre organisation",
        .grace_title = "{0} demande votre attention",
        .unknown_title = "{0} n’a pas encore été vérifié",
        .compliant_title = "{0} respecte toutes les exigences",
        .noncompliant_what =
            "L’accès aux applications et aux données de votre organisation peut être bloqué tant que ce n’est pas "
            "corrigé.",
        .grace_what = "L’appareil garde son accès jusqu’au {0}. Veuillez corriger d’ici là ce qui ne va pas.",
        .unknown_what =
            "L’appareil n’a pas encore répondu à toutes les questions. Une synchronisation le fait répondre.",
        .compliant_what =
            "Tout va bien. Il peut falloir quelques minutes avant que tout ce qui était bloqué s’ouvre à nouveau.",
        .shortfalls_title = "Ce qui ne va pas et comment le corriger",
        .time = "{2:02}/{1:02}/{0} à {3:02}:{4:02} (UTC)",
        .os_version = {"Windows est trop ancien",
            "Cet appareil a la version {0} ; la version {1} ou une version ultérieure est nécessaire. Ouvrez Paramètres "
            "> Windows Update (dans Windows 10 : Mise à jour et sécurité > Windows Update), choisissez « Rechercher des "
            "mises à jour », installez tout, puis redémarrez."},
        .last_seen = {"L’appareil n’a pas donné de nouvelles",
            "Il n’a pas pris contact depuis {0}. Connectez-le à Internet et synchronisez-le comme indiqué ci-dessous."},
        .seen_today =
            "Son dernier contact est trop ancien. Connectez-le à Internet et synchronisez-le comme indiqué ci-dessous.",
        .never_seen =
            "Il n’a encore jamais pris contact. Connectez-le à Internet et synchronisez-le comme indiqué ci-dessous.",
        .days = [](std::int64_t n) { return fmt::format("{} {}", n, n < 2 ? "jour" : "jours"); },
        .encryption = {"Le lecteur n’est pas chiffré",
            "Ouvrez Paramètres > Confidentialité et sécurité > Chiffrement de l’appareil (dans Windows 10 : Mise à jour "
            "et sécurité > Chiffrement de l’appareil) et activez-le. Si cette page n’existe pas, adressez-vous à votre "
            "administrateur."},
        .secure_boot = {"Le démarrage sécurisé (Secure Boot) est désactivé",
            "Il s’active dans les paramètres du microprogramme de l’appareil (UEFI). Demandez l’aide de votre "
            "administrateur."},
        .antivirus = {"La protection antivirus est désactivée ou n’est pas à jour",
            "Ouvrez Sécurité Windows > Protection contre les virus et menaces, activez la protection en temps réel et "
            "recherchez des mises à jour."},
        .firewall = {"Le pare-feu est désactivé",
            "Ouvrez Sécurité Windows > Pare-feu et protection du réseau et activez le pare-feu pour chaque réseau."},
        .tpm = {"Le processeur de sécurité (TPM) est absent, désactivé ou trop ancien",
            "Sécurité Windows > Sécurité des appareils montre son état. Il s’active dans les paramètres du "
            "microprogramme de l’appareil (UEFI). Demandez l’aide de votre administrateur."},
        .other = {"Une exigence de votre organisation n’est pas respectée",
            "Elle appartient à « {0} ». Demandez à votre administrateur ce qu’il faut changer en lui citant ce nom."},
    },
    {
        .locale = "es",
        .general_title = "Su dispositivo no cumple los requisitos de su organización",
        .general_what =
            "«No conforme» significa que algo en su dispositivo todavía no está como su organización lo necesita para "
            "dar acceso a sus aplicaciones y datos. A menudo falta una actualización, hay una protección desactivada o "
            "el dispositivo lleva tiempo sin conectarse. En su dispositivo no se pierde nada, y la mayoría de las causas "
            "se corrigen rápidamente.",
        .link_hint = "Su administrador puede darle un vínculo que muestra qué le ocurre a su dispositivo.",
        .link_invalid = "Este vínculo ya no es válido. Pida uno nuevo a su administrador.",
        .steps_title = "Qué puede hacer",
        .step_network = "Conecte el dispositivo a Internet o a la red de su organización.",
        .step_sync =
            "Abra Configuración > Cuentas > Obtener acceso a trabajo o escuela, elija la conexión de su organización, "
            "después «Información» y después «Sincronizar».",
        .step_wait = "Espere unos minutos y vuelva a abrir lo que estaba bloqueado.",
        .step_ask = "Si sigue bloqueado, consulte a su administrador.",
        .this_device = "Este dispositivo",
        .noncompliant_title = "{0} no cumple los requisitos de su organización",
        .grace_title = "{0} necesita su atención",
        .unknown_title = "{0} todavía no se ha comprobado",
        .compliant_title = "{0} cumple todos los requisitos",
        .noncompliant_what =
            "El acceso a las aplicaciones y los datos de su organización puede estar bloqueado hasta que se corrija.",
        .grace_what = "El dispositivo conserva el acceso hasta el {0}. Corrija antes lo que falla.",
        .unknown_what =
            "El dispositivo todavía no ha contestado a todas las preguntas. Una sincronización hace que conteste.",
        .compliant_what = "Todo está bien. Puede tardar unos minutos en abrirse de nuevo lo que estaba bloqueado.",
        .shortfalls_title = "Qué falla y cómo corregirlo",
        .time = "{2:02}/{1:02}/{0}, {3:02}:{4:02} (UTC)",
        .os_version = {"Windows es demasiado antiguo",
            "Este dispositivo tiene la versión {0}; se necesita la versión {1} o posterior. Abra Configuración > Windows "
            "Update (en Windows 10: Actualización y seguridad > Windows Update), elija «Buscar actualizaciones», instale "
            "todo y reinicie."},
        .last_seen = {"El dispositivo no se ha puesto en contacto",
            "Lleva {0} sin ponerse en contacto. Conéctelo a Internet y sincronícelo como se indica más abajo."},
        .seen_today =
            "Su último contacto fue hace demasiado tiempo. Conéctelo a Internet y sincronícelo como se indica más abajo.",
        .never_seen = "Nunca se ha puesto en contacto. Conéctelo a Internet y sincronícelo como se indica más abajo.",
        .days = [](std::int64_t n) { return fmt::format("{} {}", n, n == 1 ? "día" : "días"); },
        .encryption = {"La unidad no está cifrada",
            "Abra Configuración > Privacidad y seguridad > Cifrado de dispositivo (en Windows 10: Actualización y "
            "seguridad > Cifrado de dispositivo) y actívelo. Si no existe esa página, consulte a su administrador."},
        .secure_boot = {"El arranque seguro (Secure Boot) está desactivado",
            "Se activa en la configuración del firmware del dispositivo (UEFI). Pida ayuda a su administrador."},
        .antivirus = {"La protección antivirus está desactivada o no está actualizada",
            "Abra Seguridad de Windows > Protección antivirus y contra amenazas, active la protección en tiempo real y "
            "busque actualizaciones."},
        .firewall = {"El firewall está desactivado",
            "Abra Seguridad de Windows > Firewall y protección de red y active el firewall en todas las redes."},
        .tpm = {"El procesador de seguridad (TPM) falta, está desactivado o es demasiado antiguo",
            "Seguridad de Windows > Seguridad del dispositivo muestra su estado. Se activa en la configuración del "
            "firmware del dispositivo (UEFI). Pida ayuda a su administrador."},
        .other = {"No se cumple un requisito de su organización",
            "Pertenece a «{0}». Pregunte a su administrador qué hay que cambiar e indíquele ese nombre."},
    },
}};

}  // namespace

std::span<compliance_words const> const latin_compliance_words = all;

}  // namespace mdmd::terms
