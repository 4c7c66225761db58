<?php

declare(strict_types=1);

namespace Bulkhead\WordPress\Drawing;

/**
 * Restricts access to the attachment pages and REST resources of drawings. WordPress publishes every attachment, but the
 * file name of a drawing may itself be confidential.
 */
final class AttachmentAccess
{
    private const ROUTE = '#^/wp/v2/media/(\d+)#';

    public function register(): void
    {
        add_action('template_redirect', $this->hidePage(...));
        add_filter('rest_attachment_query', $this->hideFromList(...));
        add_filter('rest_request_before_callbacks', $this->denyAttachment(...), 10, 3);
    }

    private function hidePage(): void
    {
        if (is_attachment() && Drawing::find(get_queried_object_id())?->isVisible() === false) {
            $GLOBALS['wp_query']->set_404();
            status_header(404);
            nocache_headers();
        }
    }

    /**
     * Users who may upload files see the names in the media library anyway.
     *
     * @param array<string, mixed> $query
     * @return array<string, mixed>
     */
    private function hideFromList(array $query): array
    {
        if (!current_user_can('upload_files')) {
            $query['meta_query'][] = ['key' => Drawing::META_JOB, 'compare' => 'NOT EXISTS'];
        }

        return $query;
    }

    private function denyAttachment(mixed $response, mixed $_handler, \WP_REST_Request $request): mixed
    {
        $drawing = preg_match(self::ROUTE, $request->get_route(), $matches) === 1 ? Drawing::find((int) $matches[1]) : null;
        if ($drawing === null || $drawing->isVisible() || is_wp_error($response)) {
            return $response;
        }

        return new \WP_Error('bulkhead_forbidden', 'You do not have permission to view this drawing.', ['status' => rest_authorization_required_code()]);
    }
}
