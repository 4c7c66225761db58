<?php

declare(strict_types=1);

namespace Bulkhead\WordPress;

/**
 * WordPress tells everybody of every attachment: it has a page of its own, and REST lists it. The name of a drawing may
 * say too much already, so these are closed to who may not see it.
 */
final class Privacy
{
    private const ONE = '#^/wp/v2/media/(\d+)#';

    public function register(): void
    {
        add_action('template_redirect', $this->hidePage(...));
        add_filter('rest_attachment_query', $this->hideFromList(...));
        add_filter('rest_request_before_callbacks', $this->refuseOne(...), 10, 3);
    }

    private function hidePage(): void
    {
        if (is_attachment() && Drawing::of(get_queried_object_id())?->isOpenTo() === false) {
            $GLOBALS['wp_query']->set_404();
            status_header(404);
            nocache_headers();
        }
    }

    /**
     * Whoever uploads files has a media library to choose from, where names are seen.
     *
     * @param array<string, mixed> $query
     * @return array<string, mixed>
     */
    private function hideFromList(array $query): array
    {
        if (!current_user_can('upload_files')) {
            $query['meta_query'][] = ['key' => Drawing::JOB, 'compare' => 'NOT EXISTS'];
        }

        return $query;
    }

    private function refuseOne(mixed $answer, mixed $_handler, \WP_REST_Request $request): mixed
    {
        $asked = preg_match(self::ONE, $request->get_route(), $found) === 1 ? Drawing::of((int) $found[1]) : null;
        if ($asked === null || $asked->isOpenTo() || is_wp_error($answer)) {
            return $answer;
        }

        return new \WP_Error('bulkhead_closed', 'You may not see this drawing.', ['status' => rest_authorization_required_code()]);
    }
}
