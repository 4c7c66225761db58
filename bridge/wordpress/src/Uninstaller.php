<?php

declare(strict_types=1);

namespace Bulkhead\WordPress;

use Bulkhead\WordPress\Admin\MediaLibrary;
use Bulkhead\WordPress\Drawing\Drawing;

/**
 * Deletes the settings of the plugin. Drawings belong to their users: unless the settings say otherwise, they stay in the
 * media library with the ids of their jobs, and are available again after a reinstallation.
 */
final class Uninstaller
{
    private const BATCH = 100;

    public function uninstall(): void
    {
        if (Settings::stored()->deleteDrawings) {
            $configuration = Configuration::from(Configuration::read(...));
            (new MediaLibrary(new PlatformClient($configuration), __FILE__))->register();    // also deletes the renders on the platform
            $this->deleteDrawings();
        }
        delete_option(Settings::OPTION);
    }

    private function deleteDrawings(): void
    {
        $query = [
            'post_type' => 'attachment',
            'post_status' => ['inherit', 'private', 'trash'],
            'meta_key' => Drawing::META_JOB,
            'fields' => 'ids',
            'numberposts' => self::BATCH,
        ];
        while ($ids = get_posts($query)) {
            foreach ($ids as $id) {
                wp_delete_attachment($id, true) || delete_post_meta($id, Drawing::META_JOB);
            }
        }
    }
}
