<?php

/** Runs PHP from standard input inside WordPress, as the user that is named, and writes what it returns as JSON. */

declare(strict_types=1);

define('WP_ADMIN', true);
require $argv[1] . '/wp-load.php';
require_once ABSPATH . 'wp-admin/includes/admin.php';

wp_set_current_user(get_user_by('login', $argv[2])->ID);
echo json_encode(eval(stream_get_contents(STDIN))), "\n";
