#include "terms/words.hpp"

namespace mdmd::terms {

constinit words const chinese{
    .tag = "zh-Hans",
    .name = "简体中文",
    .title = "{organization} 使用条款",
    .signed_in = "当前登录账户：{user}",
    .version = "版本 {version}",
    .accept = "接受",
    .decline = "拒绝",
    .pin = "一次性 PIN",
    .pin_hint = "IT 部门提供给您的八位数字。",
    .pin_missing = "请输入 PIN。",
    .pin_wrong = "此 PIN 无效。请检查后重试。",
    .management = "设备管理",
    .turned_away = "{organization} 无法管理此设备",
    .enrollment_off = "设备注册已关闭。",
    .personal_blocked = "不接受个人设备。",
    .not_in_group = "您的账户无权注册设备。请联系您的 IT 部门。",
    .maintenance = "系统正在维护。请稍后重试。",
    .pin_locked = "由于错误次数过多，您的 PIN 已被锁定。请向您的 IT 部门索取新的 PIN。",
    .next = "继续",
    .refused = "无法显示此页面",
    .incomplete = "此页面由 Windows 在设备加入组织时打开。打开时使用的地址不完整。",
    .foreign = "此答复不属于任何已显示的页面。",
    .expired = "操作超时。请重新开始。",
    .answered = "此页面已答复过。",
    .no_such_answer = "此答复不在可选范围内。",
    .text_changed = "使用条款在此期间已更改。请重新开始。",
    .start_again = "请关闭此窗口并重新开始。如果再次出现此问题，请告知您的 IT 部门。",
    .corporate = R"(此设备属于 {organization}。加入后，设备将由 {organization} 管理。

## {organization} 可以

- 查看设备的名称、型号、序列号、Windows 版本和保护状态
- 查看设备上安装了哪些应用
- 更改设置、安装和删除应用，以及要求使用密码和加密
- 锁定设备、重新启动设备，或清除设备上的所有内容

## {organization} 无法

- 通过此管理读取您的邮件、文档、照片或浏览记录

只要设备属于 {organization}，管理就会持续。
)",
    .personal = R"(连接您自己的设备后，{organization} 可以管理此设备，使其可用于工作。

## {organization} 可以

- 查看设备的名称、型号、序列号、Windows 版本和保护状态
- 查看设备上安装了哪些应用
- 要求使用密码和加密等设置，并安装工作所需的应用
- 删除其所做的配置，或在设备丢失时清除设备

## {organization} 无法

- 通过此管理读取您的邮件、文档、照片或浏览记录

您可以随时在“设置”>“账户”>“连接工作或学校账户”中结束管理。如果您拒绝，设备将不受管理，可能无法打开工作资源。
)",
};

}  // namespace mdmd::terms
