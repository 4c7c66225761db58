<?php

declare(strict_types=1);

namespace Bulkhead\WordPress\Drawing;

use Bulkhead\Exception\BulkheadException;
use Bulkhead\RenderStatus;
use Bulkhead\WordPress\PlatformClient;

/**
 * The endpoints that serve drawings. Each checks permissions and then redirects the browser to the platform by a signed
 * link to this drawing that expires, so PHP transfers no images.
 *
 * The endpoints are read-only and need no nonce, so links in cached pages stay valid.
 */
final class Endpoints
{
    public const PREVIEW = 'bulkhead_preview';
    public const VIEW = 'bulkhead_view';
    public const ORIGINAL = 'bulkhead_original';

    public const REST_NAMESPACE = 'bulkhead/v1';

    /** Interval between two refreshes of a page that waits for a drawing, seconds. */
    private const REFRESH_INTERVAL = 2;

    public function __construct(private readonly PlatformClient $platform)
    {
    }

    public function register(): void
    {
        $actions = [self::PREVIEW => $this->preview(...), self::VIEW => $this->view(...), self::ORIGINAL => $this->original(...)];
        foreach ($actions as $action => $handler) {
            add_action("wp_ajax_$action", $handler);
            add_action("wp_ajax_nopriv_$action", $handler);
        }
        add_action('rest_api_init', $this->registerRoute(...));
    }

    private function registerRoute(): void
    {
        register_rest_route(self::REST_NAMESPACE, '/drawings/(?P<id>\d+)', [
            'methods' => 'GET',
            'callback' => $this->status(...),
            'permission_callback' => static fn ($request): bool => (bool) Drawing::find((int) $request['id'])?->isVisible(),
        ]);
    }

    private function status(\WP_REST_Request $request): \WP_REST_Response|\WP_Error
    {
        $drawing = Drawing::find((int) $request['id']);
        try {
            $status = $this->fetchStatus($drawing);
        } catch (BulkheadException $error) {
            error_log("Bulkhead: {$error->getMessage()}");

            return new \WP_Error('bulkhead_unavailable', 'The drawing is temporarily unavailable.', ['status' => 503]);
        }
        $fields = ['state' => $status->state, 'percent' => $status->percent, 'stage' => $status->stage, 'error' => $status->error];

        return new \WP_REST_Response($fields, 200, ['Cache-Control' => 'no-store']);
    }

    private function preview(): never
    {
        $status = $this->requireStatus($this->requireDrawing());
        if (!$status->succeeded()) {
            $this->showMessage(404, "There is no preview: the drawing is $status->state.");
        }
        $this->redirect($this->platform->previewUrl($status));
    }

    private function view(): never
    {
        $status = $this->requireStatus($this->requireDrawing());
        if ($status->succeeded()) {
            $this->redirect($this->platform->viewerUrl($status));
        }
        if ($status->isFinal()) {
            $this->showMessage(200, $status->error ?? "The drawing was $status->state.");
        }
        header('Refresh: ' . self::REFRESH_INTERVAL);
        $this->showMessage(200, "The drawing is being rendered: $status->state, $status->percent %.");
    }

    private function original(): never
    {
        $drawing = $this->requireDrawing();
        current_user_can('edit_post', $drawing->id) || $this->showMessage(403, 'You do not have permission to download the original of this drawing.');
        $path = $this->platform->originalPath($drawing->job) ?? $this->showMessage(404, 'The original is stored in Bulkhead, not on this server.');
        while (ob_get_level() > 0) {
            ob_end_clean();
        }
        header('Content-Type: application/octet-stream');
        header('Content-Disposition: attachment; filename*=UTF-8\'\'' . rawurlencode($drawing->filename));
        header('Content-Length: ' . filesize($path));
        header('X-Content-Type-Options: nosniff');
        header("Content-Security-Policy: default-src 'none'; sandbox");
        readfile($path);
        exit;
    }

    /** Returns the requested drawing; sends an error and exits if it is missing or the user may not view it. */
    private function requireDrawing(): Drawing
    {
        header('Cache-Control: no-store, private');
        header('Referrer-Policy: no-referrer');     // a signed link grants access
        $drawing = Drawing::find(absint($_GET['drawing'] ?? 0)) ?? $this->showMessage(404, 'There is no such drawing.');

        return $drawing->isVisible(absint($_GET['post'] ?? 0)) ? $drawing : $this->showMessage(403, 'You do not have permission to view this drawing.');
    }

    private function requireStatus(Drawing $drawing): RenderStatus
    {
        try {
            return $this->fetchStatus($drawing);
        } catch (BulkheadException $error) {
            error_log("Bulkhead: {$error->getMessage()}");
            $this->showMessage(503, 'The drawing is temporarily unavailable: try again later.');
        }
    }

    private function fetchStatus(Drawing $drawing): RenderStatus
    {
        $missing = new RenderStatus($drawing->job, 'gone', error: 'This drawing no longer exists in Bulkhead: upload it again.');

        return $this->platform->status($drawing->job, $drawing->publishedAt) ?? $missing;
    }

    private function redirect(string $url): never
    {
        header("Location: $url", true, 302);
        exit;
    }

    private function showMessage(int $status, string $message): never
    {
        status_header($status);
        header('Content-Type: text/html; charset=utf-8');
        header("Content-Security-Policy: default-src 'none'; frame-ancestors 'self'");
        echo "<!doctype html>\n<title>Drawing</title>\n<p>", esc_html($message), "</p>\n";
        exit;
    }
}
