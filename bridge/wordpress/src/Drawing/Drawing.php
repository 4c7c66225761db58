<?php

declare(strict_types=1);

namespace Bulkhead\WordPress\Drawing;

/** An attachment whose file is stored in Bulkhead. WordPress stores only its file name and the id of its job. */
final class Drawing
{
    public const META_JOB = '_bulkhead_job';
    private const META_PUBLISHED = '_bulkhead_published';

    private function __construct(
        public readonly int $id,
        public readonly string $job,
        public readonly float $publishedAt,
        public readonly string $filename,
    ) {
    }

    /** Returns the drawing with this attachment id; null if the attachment is missing or not a drawing. */
    public static function find(int $attachment): ?self
    {
        $job = $attachment > 0 ? get_post_meta($attachment, self::META_JOB, true) : '';
        if (!is_string($job) || $job === '' || get_post_type($attachment) !== 'attachment') {
            return null;
        }
        $published = (float) get_post_meta($attachment, self::META_PUBLISHED, true);

        return new self($attachment, $job, $published, wp_basename((string) get_attached_file($attachment, true)));
    }

    /** Stores the job of an attachment. */
    public static function saveJob(int $attachment, string $job, float $publishedAt): void
    {
        add_post_meta($attachment, self::META_JOB, $job, true);
        add_post_meta($attachment, self::META_PUBLISHED, $publishedAt, true);
    }

    /** Whether the current user may view the drawing: by editing it, or by reading the post `$post` that shows it. */
    public function isVisible(int $post = 0): bool
    {
        return current_user_can('edit_post', $this->id) || ($post > 0 && $this->isShownIn($post));
    }

    /** Whether the current user may read a post that shows the drawing, and the post's author may edit the drawing. */
    private function isShownIn(int $id): bool
    {
        $post = get_post($id);
        if ($post === null || !PostReferences::contains($post->post_content, $this->id)) {
            return false;
        }
        $isReadable = is_post_publicly_viewable($post) || current_user_can('read_post', $id);

        return $isReadable && !post_password_required($post) && user_can((int) $post->post_author, 'edit_post', $this->id);
    }

    /** URL of an endpoint for this drawing; `$post` is the post that shows it. */
    public function url(string $action, int $post = 0): string
    {
        $query = ['action' => $action, 'drawing' => $this->id] + ($post > 0 ? ['post' => $post] : []);

        return admin_url('admin-ajax.php?' . http_build_query($query));
    }
}
