<?php

declare(strict_types=1);

namespace Bulkhead\WordPress;

/**
 * Takes away what the plugin has stored. Drawings are their users': they stay in the media library, known by the ids
 * of their jobs, for the plugin to find again, unless the settings say that they go.
 */
final class Uninstall
{
    private const AT_ONCE = 100;

    public function run(): void
    {
        if (Settings::stored()->deleteDrawings) {
            $configuration = Configuration::from(Configuration::named(...));
            (new Media(new Platform($configuration), __FILE__))->register();    // which has the platform forget them, too
            $this->deleteDrawings();
        }
        delete_option(Settings::OPTION);
    }

    private function deleteDrawings(): void
    {
        $query = [
            'post_type' => 'attachment',
            'post_status' => ['inherit', 'private', 'trash'],
            'meta_key' => Drawing::JOB,
            'fields' => 'ids',
            'numberposts' => self::AT_ONCE,
        ];
        while ($ids = get_posts($query)) {
            foreach ($ids as $id) {
                wp_delete_attachment($id, true) || delete_post_meta($id, Drawing::JOB);
            }
        }
    }
}
