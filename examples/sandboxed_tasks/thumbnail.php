<?php
// php thumbnail.php SOURCE WIDTH: writes thumbnail.png to the working directory and prints its size as JSON.
// It uses the extension imagick if it is installed (apt-get install php-imagick), else gd.

[, $source, $width] = $argv;

if (extension_loaded('imagick')) {
    $picture = new Imagick($source . '[0]');
    $picture->thumbnailImage((int) $width, 0);
    $picture->writeImage('png:thumbnail.png');
    $height = $picture->getImageHeight();
} else {
    $picture = imagecreatefromstring(file_get_contents($source));
    if ($picture === false) {
        fwrite(STDERR, "$source is no picture\n");
        exit(3);
    }
    $picture = imagescale($picture, (int) $width);
    imagepng($picture, 'thumbnail.png');
    $height = imagesy($picture);
}

echo json_encode(['width' => (int) $width, 'height' => $height, 'with' => extension_loaded('imagick') ? 'imagick' : 'gd']);
