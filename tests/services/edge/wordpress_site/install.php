<?php

/**
 * Installs a fresh WordPress: tables, users, permalinks, theme and plugin. Reads JSON from standard input: `title`,
 * `plugin`, `theme` and `users`, each with `name`, `role` and `password`; the first user is an administrator.
 */

declare(strict_types=1);

$input = json_decode(stream_get_contents(STDIN), true, 8, JSON_THROW_ON_ERROR);

define('WP_INSTALLING', true);
require $argv[1] . '/wp-load.php';
require_once ABSPATH . 'wp-admin/includes/upgrade.php';
require_once ABSPATH . 'wp-admin/includes/plugin.php';

/** Replaces WordPress' function: tests send no mail. */
function wp_mail(): bool
{
    return true;
}

$first = array_shift($input['users']);
wp_install($input['title'], $first['name'], "{$first['name']}@example.com", true, '', $first['password']);
foreach ($input['users'] as $user) {
    wp_insert_user([
        'user_login' => $user['name'],
        'user_pass' => $user['password'],
        'user_email' => "{$user['name']}@example.com",
        'role' => $user['role'],
    ]);
}
switch_theme($input['theme']);
$error = activate_plugin($input['plugin']);
echo json_encode(['version' => get_bloginfo('version'), 'error' => is_wp_error($error) ? $error->get_error_message() : null]), "\n";
