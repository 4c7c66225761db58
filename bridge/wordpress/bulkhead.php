<?php

/**
 * Plugin Name: Bulkhead Drawings
 * Description: Stores DXF, DWG, PDF, SVG and TIFF files in Bulkhead, which renders them with their layers. WordPress never opens them.
 * Version: 0.1.0
 * Requires at least: 6.1
 * Requires PHP: 8.1
 * License: Apache-2.0
 */

declare(strict_types=1);

defined('ABSPATH') || exit;

require __DIR__ . '/autoload.php';

(new Bulkhead\WordPress\Plugin(__FILE__))->register();
