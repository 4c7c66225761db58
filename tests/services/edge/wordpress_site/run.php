<?php

/** Runs PHP code from standard input in WordPress as the given user; prints the returned value as JSON. */

declare(strict_types=1);

define('WP_ADMIN', true);
require $argv[1] . '/wp-load.php';
require_once ABSPATH . 'wp-admin/includes/admin.php';

wp_set_current_user(get_user_by('login', $argv[2])->ID);
echo json_encode(eval(stream_get_contents(STDIN))), "\n";
