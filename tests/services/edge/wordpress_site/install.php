<?php

/**
 * Makes a fresh WordPress work, as its own installer does: tables, users, permalinks, theme, plugin. Reads JSON from
 * standard input: `title`, `plugin`, `theme` and `users`, each with `name`, `role` and `password`, an administrator first.
 */

declare(strict_types=1);

$asked = json_decode(stream_get_contents(STDIN), true, 8, JSON_THROW_ON_ERROR);

define('WP_INSTALLING', true);
require $argv[1] . '/wp-load.php';
require_once ABSPATH . 'wp-admin/includes/upgrade.php';
require_once ABSPATH . 'wp-admin/includes/plugin.php';

/** No mail from a test. */
function wp_mail(): bool
{
    return true;
}

$first = array_shift($asked['users']);
wp_install($asked['title'], $first['name'], "{$first['name']}@example.com", true, '', $first['password']);
foreach ($asked['users'] as $user) {
    wp_insert_user([
        'user_login' => $user['name'],
        'user_pass' => $user['password'],
        'user_email' => "{$user['name']}@example.com",
        'role' => $user['role'],
    ]);
}
switch_theme($asked['theme']);
$error = activate_plugin($asked['plugin']);
echo json_encode(['version' => get_bloginfo('version'), 'error' => is_wp_error($error) ? $error->get_error_message() : null]), "\n";
